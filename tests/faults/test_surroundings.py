"""Clusters and containers: it works, or a line and exit code 2; never a traceback."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import helpers
import pytest
from helpers import tiny

from mic2e_bench import files, paths
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import environment, surroundings
from mic2e_bench.records import folder

DONE = [sys.executable, "-m", "mic2e_bench"]


@pytest.fixture
def path(tmp_path):
    return helpers.file(tmp_path / "p.yaml", tiny())


def shell(words, **options):
    return subprocess.run(["sh", "-c", words, "sh", *DONE], capture_output=True, text=True, timeout=60, **options)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ('"$@" list pipelines >&-', 0, ""),
        ('"$@" list pipelines 2>&- >/dev/null', 0, ""),
        ('"$@" list pipelines <&-', 0, ""),
        ('"$@" list toggles > /dev/full', 2, "No space left on device"),
        ('mkdir gone && cd gone && rmdir "$PWD" && "$@" list presets', 2, "the working folder is there no longer"),
        ('TZ=Nowhere/Else LC_ALL=xx_YY OMP_NUM_THREADS=many TMPDIR=/nowhere "$@" list pipelines', 0, ""),
        ('umask 077; HOME=/nowhere "$@" list pipelines', 0, ""),
        ('"$@" verify --results "$(printf %0300d 0)"', 2, "File name too long"),
        ('"$@" tables --check --results /dev/null/x', 2, "no such results folder"),
        ('"$@" plan "~nobody-of-this-name/p.yaml"', 2, "home folder is not known"),
        ('"$@" list pipelines --results ""', 2, "is no name of a file or folder"),
    ],
)
def test_odd_surroundings(words, code, said, tmp_path):
    ended = shell(words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(helpers.ROOT)})
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr and said in ended.stderr
    assert len(ended.stderr.splitlines()) <= (1 if code else 0) + ("TZ" in words)


def test_a_file_system_without_locks(tmp_path, monkeypatch, capsys):
    def flock(file, how):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    for _ in range(2):
        with folder.locked(tmp_path / "s"):
            pass
    assert capsys.readouterr().err.count("has no locks (Function not implemented)") == 1


def test_a_disk_that_is_full_leaves_nothing_half_written(tmp_path, monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(BadInput, match="No space left on device"):
        files.write_whole(tmp_path / "x", b"content")
    assert not list(tmp_path.iterdir())


def test_sockets_of_a_long_folder_lie_in_a_shorter_one(tmp_path):
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)
    script = (
        "import multiprocessing.util as m; from mic2e_bench.machine import surroundings as s\n"
        "with s.short_sockets(): print(len(m.get_temp_dir()) <= 60)\nimport tempfile; print(tempfile.gettempdir())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "TMPDIR": str(deep)}, capture_output=True, text=True
    )
    assert ended.stdout.split() == ["True", str(deep)], ended.stderr


def test_a_user_without_a_name_and_a_home(monkeypatch):
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME", "HOME", "XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)

    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    with pytest.raises(BadInput, match="home folder is not known"):
        paths.expanded("~/x")
    assert paths.cache().is_absolute()
    surroundings.name_user()
    found = {name: os.environ.pop(name) for name in ("TORCHINDUCTOR_CACHE_DIR", "USER", "HOME")}
    assert all(found.values()) and found["HOME"].startswith(tempfile.gettempdir())


@pytest.mark.parametrize(
    ("others", "name"),
    [
        ([], "new"),
        ([{"host": "old", "boot": "b"}], "old"),  # another container of this machine
        ([{"host": "old", "boot": "b"}, {"host": "new", "boot": "b"}], "new"),
        ([{"host": "old", "boot": "other"}], "new"),
        ([{"host": "old"}], "new"),  # of a version that did not ask
    ],
)
def test_a_machine_keeps_its_name_in_every_container(others, name):
    assert environment.host({"host": "new", "boot": "b"}, others) == name
    assert environment.host({"host": "new", "boot": None}, [{"host": "old", "boot": None}]) == "new"


def is_deaf(pid):
    """Whether a process blocks SIGINT."""
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("SigBlk"))
    return bool(int(line.split()[1], 16) >> (signal.SIGINT - 1) & 1)


@pytest.fixture
def answered():
    """Ctrl-C is answered as in a command: a test that imported what the fork server imports has left another way."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("by_another_thread", [False, True])
def test_an_interrupt_while_a_process_starts_is_answered_when_it_has_started(by_another_thread, answered):
    """To ignore it would lose it: a run whose first process was just starting went on to its end."""
    done, over = [], threading.Event()
    waiting = threading.Thread(target=over.wait, daemon=True) if by_another_thread else None
    if waiting:
        waiting.start()  # it does not block the signal, and takes it
    with pytest.raises(KeyboardInterrupt):
        with surroundings.without_interrupts():
            os.kill(os.getpid(), signal.SIGINT)
            with subprocess.Popen(["sleep", "60"]) as child:
                done.append(is_deaf(child.pid))
                child.kill()
        for _ in range(3000):  # another thread, which the kernel may have chosen, has to be awake first
            time.sleep(0.01)
    assert done == [True] and not is_deaf(os.getpid())
    over.set()
    with surroundings.without_interrupts():
        assert signal.SIGINT not in signal.sigpending()  # nothing of it is left to be answered again
