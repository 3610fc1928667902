"""Failure is data: skipping, retries, spoilt processes, no memory, no disk, files that cannot be read, kills."""

import os
import resource
import signal
import subprocess
import sys

import faulty_workers
import helpers
import psutil
import pytest
from helpers import on_disk, tiny

from mic2e_bench import cli, files
from mic2e_bench.errors import Unavailable
from mic2e_bench.machine import memory_left
from mic2e_bench.records import record
from mic2e_bench.report import findings, frame
from mic2e_bench.run import failures
from mic2e_bench.run import forkserver as run_forkserver
from mic2e_bench.tools.claims import answers
from mic2e_bench.workshop.proof import kills


def child_with(fault, monkeypatch):
    helpers.workers(monkeypatch, faulty_workers.with_fault, fault)


# ---- skipping


def test_what_cannot_fit_is_skipped_and_can_be_forced(tmp_path, monkeypatch):
    child_with("_little_memory", monkeypatch)
    sizes = [{"resolution": 72}, {"batch": 2}, {"resolution": 72, "batch": 2}, {"resolution": 80}]
    helpers.run(tiny(vary=None, trials=sizes), tmp_path)
    records = on_disk(tmp_path)
    got = {label: one["status"] for label, one in records.items()}
    assert got == {
        "baseline": "ok", "resolution=72": "oom", "batch=2": "ok",
        "resolution=72, batch=2": "skipped", "resolution=80": "skipped",
    }  # fmt: skip
    small = records["resolution=72"]
    assert records["resolution=80"]["reason"].startswith(
        f"resolution 72, batch 1 ran out of memory (record {small['id']}), and this is larger; --force"
    )
    helpers.run(tiny(vary=None, trials=sizes), tmp_path, force=True)
    forced = {label: one["status"] for label, one in on_disk(tmp_path).items()}
    assert forced["resolution=72, batch=2"] == "oom" and forced["resolution=80"] == "ok"


# ---- retries


def test_retries_only_where_declared(tmp_path, monkeypatch):
    child_with("_flaky", monkeypatch)
    content = tiny(vary={"steps": [1, 2, 3]}, protocol={**tiny()["protocol"], "retries": 2})
    helpers.run(content, tmp_path)
    records = on_disk(tmp_path)
    assert [records[label]["status"] for label in ("baseline", "steps=2", "steps=3")] == ["ok"] * 3
    attempts = records["steps=2"]["environment"]["attempts"]
    assert [one["reason"].split(" (")[0] for one in attempts] == [
        "ArithmeticError: not yet", "the process was ended by SIGABRT in stage: repeat 1/1"
    ]  # fmt: skip
    assert "attempts" not in records["steps=3"]["environment"]
    logs = [*(one["log"] for one in attempts), records["steps=2"]["environment"]["log"]]
    assert len(set(logs)) == 3 and all((tmp_path / "tiny" / log).is_file() for log in logs)

    helpers.run(tiny(baseline={**tiny()["baseline"], "steps": 2}, vary=None), tmp_path / "other")
    assert on_disk(tmp_path / "other")["baseline"]["status"] == "error"  # none were declared
    assert helpers.study(content).baseline.id == helpers.study(tiny(vary={"steps": [1, 2, 3]})).baseline.id


# ---- a device that fails or vanishes


def test_a_spoilt_process_fails_one_trial_only(tmp_path, monkeypatch):
    child_with("_spoilt", monkeypatch)
    helpers.run(tiny(vary={"steps": [1, 2, 3]}), tmp_path)
    records = on_disk(tmp_path)
    assert [records[label]["status"] for label in ("baseline", "steps=2", "steps=3")] == ["ok", "error", "ok"]
    assert "CUDA error: unspecified launch failure" in records["steps=2"]["reason"]


def test_a_device_that_vanishes(tmp_path, monkeypatch):
    child_with("_gone", monkeypatch)
    helpers.run(tiny(vary={"steps": [1, 2, 3]}), tmp_path)
    records = on_disk(tmp_path)
    assert [records[label]["status"] for label in ("baseline", "steps=2", "steps=3")] == ["ok", "error", "unavailable"]


# ---- memory


def test_a_limit_of_memory_is_a_row(tmp_path, monkeypatch):
    child_with("_address_space", monkeypatch)
    helpers.run(tiny(vary=None), tmp_path)
    assert on_disk(tmp_path)["baseline"]["status"] == "oom"


def test_the_last_words_of_a_library(tmp_path, monkeypatch):
    child_with("_bad_alloc", monkeypatch)
    helpers.run(tiny(vary=None), tmp_path)
    failed = on_disk(tmp_path)["baseline"]
    assert failed["status"] == "oom" and failed["reason"].endswith("its last words: std::bad_alloc")


@pytest.mark.parametrize(
    "error, status",
    [
        (MemoryError(), "oom"),
        (RuntimeError("CUDA error: out of memory"), "oom"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "oom"),
        (OSError(12, "Cannot allocate memory"), "oom"),
        (RuntimeError("could not create a primitive"), "error"),
        (RuntimeError("CUDA error: no CUDA-capable device is detected"), "unavailable"),
        (Unavailable("no CUDA device"), "unavailable"),
        (OSError(28, "No space left on device"), "unwritable"),
        (OSError(30, "Read-only file system"), "unwritable"),
        (OSError(2, "No such file or directory"), "error"),
        (ValueError("anything"), "error"),
    ],
)
def test_what_an_exception_means(error, status, monkeypatch):
    monkeypatch.setattr(memory_left, "short_of_memory", lambda: False)
    assert failures.classify(error) == status


def test_a_primitive_that_could_not_be_made_for_want_of_memory(monkeypatch):
    monkeypatch.setattr(memory_left, "short_of_memory", lambda: True)
    assert failures.classify(RuntimeError("could not create a primitive")) == "oom"
    assert failures.classify(ValueError("anything")) == "error"


# ---- the fork server


def test_a_fork_server_that_dies_costs_one_trial(tmp_path, monkeypatch):
    """Its workers die with it, and the next one starts it anew."""
    run_forkserver.start()

    helpers.at_stage(monkeypatch, "repeat", lambda pid: psutil.Process(pid).parent().kill())
    helpers.run(tiny(), tmp_path)
    records = on_disk(tmp_path)
    assert [records[label]["status"] for label in ("baseline", "steps=2")] == ["error", "ok"]
    assert "in stage: " in records["baseline"]["reason"]


def test_libraries_that_cannot_be_imported_are_one_line(tmp_path):
    """Two gigabytes of addresses are enough for the runner, and not for torch."""
    path = helpers.file(tmp_path / "study.yaml", tiny())
    command = [sys.executable, "-m", "mic2e_bench", "run", str(path), "--results", str(tmp_path)]
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))  # noqa: E731
    ended = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit)
    assert ended.returncode == cli.BAD_INPUT and "mic2e_bench/run/runner.py" not in ended.stderr
    assert "mic2e-bench: the process that imports the libraries" in ended.stderr.splitlines()[-1]
    assert on_disk(tmp_path) == {}


# ---- the disk


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 kB, where this process may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("no right to mount a file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_one_line_and_loses_nothing(small_disk, tmp_path, capsys):
    path = helpers.file(tmp_path / "study.yaml", tiny(vary={"steps": [1, 2, 3, 4]}, metrics=[]))
    code, out, err = helpers.command(capsys, "run", path, "--results", small_disk)
    said = [line for line in err.splitlines() if line.startswith("mic2e-bench: ")]
    assert code == 2 and out == "" and len(said) == 1 and "Traceback" not in err
    assert "No space left on device" in said[0] and "--results DIR" in said[0]
    old = helpers.frozen(small_disk)
    assert 0 < len(old) < 4 and helpers.whole(small_disk)
    assert all(one["status"] == "ok" for one in on_disk(small_disk).values())
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert helpers.command(capsys, "run", path, "--results", small_disk)[0] == 0
    assert old.items() <= helpers.frozen(small_disk).items() and len(on_disk(small_disk)) == 4


def test_a_read_only_disk_is_one_line(small_disk, tmp_path, capsys):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    path = helpers.file(tmp_path / "study.yaml", tiny())
    line = helpers.refusal(capsys, "run", path, "--results", small_disk)
    assert "Read-only file system" in line and "--results DIR" in line


def test_a_disk_that_is_full_in_the_worker_ends_the_run(tmp_path, monkeypatch):
    child_with("_no_room", monkeypatch)
    with pytest.raises(files.CannotWrite, match=r"^cannot write: OSError: .*No space left on device"):
        helpers.run(tiny(vary={"steps": [1, 2, 3]}), tmp_path)
    assert list(on_disk(tmp_path)) == ["baseline"]


# ---- files in the results folder


def test_a_damaged_record_is_set_aside_and_named(tmp_path, capsys):
    content = tiny(vary=None)
    (trial,) = helpers.study(content).trials
    path = record.path_of(tmp_path, "tiny", trial.id)
    record.write(tmp_path, record.make(trial, "ok"))
    for number in range(2):
        torn = path.read_bytes()[: 100 + number]
        path.write_bytes(torn)
        capsys.readouterr()
        assert helpers.run(content, tmp_path).measured == 1
        (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("set aside: "))
        aside = path.parent / "damaged" / (f"{path.stem}.2.json" if number else path.name)
        assert str(path) in line and "is damaged" in line and str(aside) in line
        assert aside.read_bytes() == torn
    assert on_disk(tmp_path)["baseline"]["status"] == "ok"


def test_a_newer_record_is_left_alone(tmp_path, capsys):
    content = tiny(vary=None)
    study = helpers.study(content)
    path = helpers.store(tmp_path, {**record.make(study.baseline, "ok").raw, "schema": record.SCHEMA + 1})
    newer = path.read_bytes()
    assert helpers.run(content, tmp_path).measured == 0
    assert path.read_bytes() == newer
    assert f"left alone, and not measured: {path} has schema {record.SCHEMA + 1}" in capsys.readouterr().err
    found = findings.read(study, tmp_path)
    assert found.baseline["status"] == "missing" and "a newer mic2e-bench wrote" in found.baseline["reason"]
    helpers.run(content, tmp_path, rerun=True)
    assert (path.parent / "damaged" / path.name).read_bytes() == newer
    assert on_disk(tmp_path)["baseline"]["status"] == "ok"


def test_foreign_files_are_survived(tmp_path):
    record.write(tmp_path, record.make(helpers.study(tiny(vary=None)).baseline, "ok"))
    folder = tmp_path / "tiny"
    (folder / "notes.json").write_text("[]")
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "a folder.json").mkdir()
    (folder / "dangling.json").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.json")
    (tmp_path / "empty").mkdir()
    (tmp_path / "a file").touch()
    table, damaged = frame.load(tmp_path)
    assert len(table) == 1 and len(damaged) == 2
    assert len(answers.load(tmp_path)[0]) == 1
    assert helpers.run(tiny(vary=None), tmp_path).measured == 0


# ---- Ctrl-C


def test_ctrl_c_before_the_commands_are_read(tmp_path):
    """At the very first import of the package: no traceback, exit code 130."""
    script = (
        "import builtins, os, runpy, signal\n"
        "real = builtins.__import__\n"
        "def interrupted(name, *rest):\n"
        "    if name == 'argparse':\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(name, *rest)\n"
        "from mic2e_bench import __main__\n"
        "builtins.__import__ = interrupted\n"
        "raise SystemExit(__main__.main())\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    said = "\nmic2e-bench: interrupted. The same command goes on where it stopped.\n"
    assert (ended.returncode, ended.stderr) == (cli.INTERRUPTED, said)


# ---- killed at random


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Of the benchmark's study three trials: its two builds, and two visits of the baseline."""
    small = {**kills.CONTENT, "vary": None, "trials": [{"steps": 2}, {"attention": "math"}]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kills, "CONTENT", {key: value for key, value in small.items() if value})
        helpers.workers(patch, helpers.with_one_peak)
        yield kills.undisturbed(tmp_path_factory.mktemp("quiet"))


@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("seed", range(2))  # the benchmark kills more often
def test_killed_at_random_and_resumed(seed, undisturbed, tmp_path):
    """The runner or a worker, at a moment drawn from the seed; then the same study again."""
    outcome = kills.kill_and_resume(tmp_path / "killed", seed, undisturbed)
    assert outcome.problems == []
    assert outcome.killed in ("runner", "worker") and outcome.signal == signal.SIGKILL
