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


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Who starts CUDA on a machine whose driver shows one card; what the doctor and the commands say there."""
    folder = tmp_path_factory.mktemp("commands")
    path = helpers.file(folder / "x.yaml", tiny(baseline={**tiny()["baseline"], "device": "cpu"}, vary=None))
    where = ("--results", folder)
    fit = ("fit", "sdxl-inpaint", "--model", "bundled", "--settings", "resolution=64", "--gpu", "T4", *where)
    export = ("export", "BALANCED", "--pipeline", "objectclear")
    commands = [("plan", path), ("run", path, "--dry-run"), ("list", "toggles"), ("verify", *where), ("tables", *where)]
    commands += [export, fit, ("run", path, *where), ("recommend", "tiny", *where)]
    commands += [("compare", folder, folder / "tiny")]
    asked = helpers.file(folder / "commands.json", json.dumps([[str(word) for word in one] for one in commands]))
    command = [sys.executable, helpers.TESTS / "pretended.py", asked]
    variables = {name: value for name, value in os.environ.items() if name != "PYTORCH_NVML_BASED_CUDA_CHECK"}
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    return {**json.loads(done.stderr.splitlines()[-1]), "doctor's text": done.stdout}


def test_importing_the_libraries_starts_nothing(started):
    """bitsandbytes and xFormers ask for the device's capability on import; the driver answers."""
    assert started["server"] == []


def test_no_command_starts_cuda_in_its_own_process(started):
    assert started["commands"] == [] and started["codes"][:8] == [0] * 8


def test_the_doctor_asks_in_children_that_were_forked_before(started):
    """Its own process, the one that forks for each library, and the library of the child alone."""
    assert started["doctor"] == started["libraries"] == []
    assert "trials   on NVIDIA H100 80GB HBM3" in started["doctor's text"]


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
    # one that is started for this, to be ended at once, need not import the libraries
    monkeypatch.setattr(forkserver.forkserver, "set_forkserver_preload", lambda names: None)
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
