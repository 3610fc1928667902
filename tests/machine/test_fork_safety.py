"""Nobody starts CUDA before the children that use it; where somebody has, they are spawned and measure the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import helpers
import pretended
import pytest
import torch
from helpers import on_disk, tiny
from pretended import card

from mic2e_bench.machine import fork_safety, nvidia
from mic2e_bench.run import forkserver, runner, worker

HERE = helpers.TESTS


def starts(*arguments, **environment):
    """Who starts CUDA in a process of this kind, on a machine whose driver shows one card."""
    command = [sys.executable, HERE / "pretended.py", *map(str, arguments)]
    variables = {**os.environ, "PYTORCH_NVML_BASED_CUDA_CHECK": "1", **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    lines = done.stderr.strip().splitlines()
    assert lines and "Traceback" not in done.stderr, done.stderr
    return json.loads(lines[-1])


def test_importing_the_libraries_starts_nothing():
    """bitsandbytes and xFormers ask for the device's capability on import; the driver answers."""
    assert starts("mic2e_bench.run.preload") == []


def test_no_command_starts_cuda_in_its_own_process(tmp_path):
    path = helpers.file(tmp_path / "x.yaml", tiny(baseline={**tiny()["baseline"], "device": "cpu"}, vary=None))
    where = ("--results", tmp_path)
    fit = ("fit", "sdxl-inpaint", "--model", "bundled", "--settings", "resolution=64", "--gpu", "T4", *where)
    export = ("export", "BALANCED", "--pipeline", "objectclear")
    commands = [("plan", path), ("run", path, "--dry-run"), ("list", "toggles"), ("verify", *where), ("tables", *where)]
    commands += [export, fit, ("run", path, *where), ("recommend", "tiny", *where)]
    commands += [("compare", tmp_path, tmp_path / "tiny")]
    together = [argument for one in commands for argument in ("+", *one)][1:]
    assert starts("mic2e_bench.cli", *together) == []


def test_the_doctor_asks_in_children_that_were_forked_before():
    """Its own process, the one that forks for each library, and the library of the child alone."""
    assert starts("mic2e_bench.tools.doctor.libraries", "torch") == []
    script = "from mic2e_bench.tools.doctor import doctor; print(doctor.text(doctor.examine(call_libraries=False)))"
    code = f"import runpy, sys; sys.path.insert(0, {str(HERE)!r}); import pretended; starts = []\n"
    code += (
        f"pretended.driver(setattr, [pretended.card()]); pretended.recorder(setattr, starts)\n{script}\nprint(starts)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "trials   on NVIDIA H100 80GB HBM3" in done.stdout and done.stdout.splitlines()[-1] == "[]"


def test_the_driver_answers_and_who_asks_cuda_itself_is_noted(monkeypatch):
    pretended.driver(monkeypatch.setattr, [card(), card("NVIDIA L4", capability=(8, 9), uuid="GPU-2")])
    monkeypatch.setattr(fork_safety, "starts", [])
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    with fork_safety.answered_by_driver():
        assert torch.cuda.is_available() and torch.cuda.device_count() == 2 and torch.cuda.current_device() == 0
        assert torch.cuda.get_device_capability() == torch.cuda.get_device_capability("cuda") == (9, 0)
        assert torch.cuda.get_device_capability(torch.cuda.device(1)) == torch.cuda.get_device_capability(1) == (8, 9)
        assert torch.cuda.get_device_name(torch.device("cuda:1")) == "NVIDIA L4"
        assert fork_safety.may_fork() and fork_safety.started() == ""
        torch.cuda._lazy_init()
    assert not fork_safety.may_fork() and "test_fork_safety.py" in fork_safety.started()
    with fork_safety.without_device():
        assert not torch.cuda.is_available() and torch.cuda.device_count() == 0
    nvidia.handle.cache_clear()


@pytest.fixture
def forgets(monkeypatch):
    """What a test decides on how children are made is forgotten after it."""
    monkeypatch.setattr(forkserver, "why_spawned", [])
    forkserver.context.cache_clear()
    yield
    monkeypatch.undo()
    forkserver.context.cache_clear()


def test_a_server_that_has_started_cuda_is_ended(forgets, monkeypatch, capsys):
    """The first child says so; the server, whose context takes memory of the card, goes."""
    seen = []

    def receive(pipe):
        seen.append(pipe.recv())
        return {**seen[-1], "started": "CUDA was started by some/library.py:7"}

    monkeypatch.setattr(forkserver, "receive", receive)
    forkserver.start()
    assert "CUDA was started by some/library.py:7: no process can be forked" in capsys.readouterr().err
    assert forkserver.start_method() == "spawn" and forkserver.context().get_start_method() == "spawn"
    ended = seen[0]["server"]
    for _ in range(100):
        if not Path(f"/proc/{ended}").exists() or "Z" in Path(f"/proc/{ended}/stat").read_text().split()[2]:
            break
        runner.time.sleep(0.1)
    else:
        pytest.fail("the server lives on")


def test_spawned_processes_leave_the_same_record(forgets, monkeypatch, tmp_path, capsys):
    """Of a trial whose every call has its own process, so that a spawned child has to spawn as well."""
    study = tiny(baseline={**tiny()["baseline"], "process": "per_call"}, vary=None)
    helpers.run(study, tmp_path / "forked")
    forkserver.context.cache_clear()
    monkeypatch.setattr(forkserver.multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    helpers.workers(monkeypatch, _cannot_fork)
    capsys.readouterr()
    helpers.run(study, tmp_path / "spawned")
    assert "this platform has no fork server: no process can be forked that uses the GPU" in capsys.readouterr().err
    forked, spawned = (on_disk(tmp_path / name)["baseline"] for name in ("forked", "spawned"))
    same = ("id", "status", "reason", "trial", "images")
    assert {name: forked[name] for name in same} == {name: spawned[name] for name in same}
    assert [one["environment"]["start_method"] for one in (forked, spawned)] == ["fork", "spawn"]
    assert [one["timing"]["restarts"]["method"] for one in (forked, spawned)] == ["fork", "spawn"]
    assert "spawned, so that each imports the libraries" in spawned["receipts"]["process"]["how"]


def _cannot_fork(trials, images, pipe):
    fork_safety.starts.append("a/library.py:1")
    worker.main(trials, images, pipe)
