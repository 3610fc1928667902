"""No process outlives its command, whatever ends that; not while libraries are imported, either."""

import signal
import subprocess
import sys
import time

import helpers
import psutil
import pytest
from helpers import study, tiny

from mic2e_bench.machine import tied
from mic2e_bench.report import papermill_run


def is_alive(process):
    """Whether it runs still: what is dead and not yet fetched by its parent does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def within(seconds, condition):
    """Whether something is so within some seconds; it is looked for ten times in each."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("command", ["doctor", "tune", "run"])
def test_nothing_is_left_behind(command, how, tmp_path):
    content = tiny(**({"vary": None, "space": {"steps": [1, 2]}} if command == "tune" else {}))
    more = [] if command == "doctor" else [helpers.file(tmp_path / "p.yaml", content), "--results", tmp_path / "r"]
    words = [sys.executable, "-m", "mic2e_bench", command, *map(str, more)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
        own, left = psutil.Process(started.pid), []
        assert within(60, lambda: left.extend(own.children(recursive=True)) or len(left) > (command != "doctor"))
        started.send_signal(how)
        started.wait(10)
    # a second is enough on a quiet machine: what has just been started must get as far as its first import
    assert within(1, lambda: not any(map(is_alive, left))), [one.cmdline() for one in left if is_alive(one)]


def test_an_interrupt_ends_the_notebooks_that_run_and_begins_no_other(tmp_path, monkeypatch):
    def interrupted(running):
        assert within(10, lambda: len(started) == papermill_run.AT_ONCE)
        raise KeyboardInterrupt

    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(
        papermill_run.subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1]
    )
    monkeypatch.setattr(tied, "command", lambda *words: [sys.executable, "-c", "import time; time.sleep(60)", *words])
    monkeypatch.setattr(papermill_run, "as_completed", interrupted)
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        papermill_run.all_of([study(tiny(study=f"s{number}")) for number in range(5)], tmp_path, False)
    assert time.monotonic() - begin < 15 and len(started) == papermill_run.AT_ONCE
    assert all(process.poll() is not None for process in started)
