"""The runner's own end, at any moment: what is on disk is whole, and the same command goes on from there."""

import json
import os
import signal
import subprocess
import sys
import time
from multiprocessing import get_context

import helpers
import psutil
import pytest
import yaml
from helpers import on_disk, process, tiny

from mic2e_bench import cli, paths
from mic2e_bench.records import record
from mic2e_bench.run import forkserver as run_forkserver
from mic2e_bench.run import runner

CONTENT = tiny(vary={"steps": [1, 2, 3]})
FORK = get_context("fork")
# Python 3.12 and later warn of any fork of a process that has threads
pytestmark = pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")


@pytest.fixture(scope="module", autouse=True)
def one_server():
    run_forkserver.start()


def run_until(moment, results, act=lambda: os.kill(os.getpid(), signal.SIGKILL)):
    """Run the study; at ``moment``, a stage of the second trial or a step of writing its record, end without a word."""
    at, replace = runner.Progress.at, os.replace

    def reached(progress, trial, stage, share):
        at(progress, trial, stage, share)
        if trial.label == "steps=2" and stage.startswith(moment):
            act()

    def replacing(source, target):
        second = str(target).endswith(".json") and len(list((results / "tiny").glob("*.json"))) == 1
        if second and moment == "before the record":
            act()
        replace(source, target)
        if second and moment == "after the record":
            act()

    runner.Progress.at, os.replace = reached, replacing
    helpers.run(CONTENT, results)


@pytest.mark.parametrize("moment", ["image", "before the record", "after the record"])
def test_a_killed_runner_goes_on_where_it_was(moment, tmp_path):
    with process(run_until, moment, tmp_path) as killed:
        killed.join(60)
        assert killed.exitcode == -signal.SIGKILL
    assert helpers.whole(tmp_path)
    old = helpers.frozen(tmp_path)
    assert len(old) == (2 if moment == "after the record" else 1)
    summary = helpers.run(CONTENT, tmp_path)
    assert summary.measured == 3 - len(old)
    assert old.items() <= helpers.frozen(tmp_path).items()
    assert [r.status for r in helpers.records(tmp_path).values()] == ["ok"] * 3
    assert helpers.whole(tmp_path)


def test_a_runner_killed_while_loading(tmp_path):
    with process(run_until_load, tmp_path) as killed:
        killed.join(60)
    assert on_disk(tmp_path) == {}
    assert helpers.run(tiny(vary=None), tmp_path).measured == 1


def run_until_load(results):
    runner.Progress.at = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
    helpers.run(tiny(vary=None), results)


def test_two_runners_on_one_study(tmp_path):
    counts = FORK.SimpleQueue()
    with process(count, tmp_path, counts) as one, process(count, tmp_path, counts) as other:
        for runner_ in (one, other):
            runner_.join(120)
            assert runner_.exitcode == 0
    assert sorted([counts.get(), counts.get()]) == [0, 2]
    assert [r.status for r in helpers.records(tmp_path).values()] == ["ok"] * 2
    assert helpers.whole(tmp_path)


def count(results, counts):
    counts.put(helpers.run(tiny(), results).measured)


def command(path, results):
    """The command as a shell runs it; interrupted at the first repeat of the first trial."""
    at, self = runner.Progress.at, os.getpid()

    def interrupted(progress, trial, stage, share):
        at(progress, trial, stage, share)
        if stage.startswith("repeat"):
            (results / "interrupted").write_text(str(time.monotonic()))
            os.kill(self, signal.SIGINT)

    runner.Progress.at = interrupted
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os._exit(cli.main(["run", str(path), "--results", str(results)]))


def test_ctrl_c_ends_at_once_and_is_resumed(tmp_path, capfd):
    path = helpers.file(tmp_path / "study.yaml", tiny(vary=None, protocol={**CONTENT["protocol"], "repeats": 500}))
    with process(command, path, tmp_path) as interrupted:
        interrupted.join(60)
        end = time.monotonic()
        assert interrupted.exitcode == cli.INTERRUPTED
    assert end - float((tmp_path / "interrupted").read_text()) < 5  # measuring on would take far longer
    assert "interrupted. The same command goes on where it stopped" in capfd.readouterr().err
    assert on_disk(tmp_path) == {}
    assert helpers.run(tiny(vary=None), tmp_path).measured == 1


def test_ctrl_c_while_the_libraries_are_imported(tmp_path):
    """In a terminal the fork server gets it too, and says nothing."""
    path = helpers.file(tmp_path / "study.yaml", CONTENT)
    command = [sys.executable, "-m", "mic2e_bench", "run", str(path), "--results", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as started:
        while started.poll() is None and len(psutil.Process(started.pid).children()) < 2:  # resource tracker and server
            time.sleep(0.01)
        time.sleep(0.5)
        os.killpg(started.pid, signal.SIGINT)
        _, said = started.communicate(timeout=10)
    assert started.returncode == cli.INTERRUPTED
    importing, *others = said.splitlines()
    assert importing.startswith("importing torch")
    assert others == ["", "mic2e-bench: interrupted. The same command goes on where it stopped."]
    assert on_disk(tmp_path) == {}


def test_the_real_command_killed_then_finished(tmp_path, capsys):
    """``python -m mic2e_bench run`` with its own fork server: killed, no process stays; then the same again."""
    path = helpers.file(tmp_path / "study.yaml", tiny())
    arguments = ["run", str(path), "--results", str(tmp_path)]
    log = (tmp_path / "output").open("w")
    first = record.path_of(tmp_path, "tiny", helpers.study(tiny()).baseline.id)
    with subprocess.Popen([sys.executable, "-m", "mic2e_bench", *arguments], stdout=log, stderr=log) as started:
        deadline = time.monotonic() + 120
        while not first.exists() and started.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        family = psutil.Process(started.pid).children(recursive=True)
        started.kill()
    log.close()
    assert len(family) >= 2, (tmp_path / "output").read_text()  # the fork server and a worker, at least
    assert psutil.wait_procs(family, timeout=10)[1] == []
    old = helpers.frozen(tmp_path)
    assert first.name in old and helpers.whole(tmp_path)
    code, out, _ = helpers.command(capsys, *arguments)
    assert code == 0 and "2 ok" in out
    assert [r.status for r in helpers.records(tmp_path).values()] == ["ok"] * 2
    for name, (content, _) in old.items():  # scoring adds to a record what was not scored yet, and nothing else
        before, after = json.loads(content), json.loads((tmp_path / "tiny" / name).read_text())
        kept = {"quality": before["quality"], "content_sha256": before["content_sha256"]}
        assert {**after, **kept} == before


SCRIPT = """
import mic2e_bench, yaml
print("top level")
summary = mic2e_bench.run(yaml.safe_load(open("study.yaml")), results="results")
print([r.status for r in summary.records.values()])
"""


def test_a_script_without_a_guard(tmp_path, capsys):
    """And what it measured, the command line knows."""
    path = helpers.file(tmp_path / "study.yaml", tiny(vary=None))
    (tmp_path / "script.py").write_text(SCRIPT)
    ended = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["top level", "['ok']"]
    ours = ("tiny ", "importing torch")
    assert all(line.startswith(ours) for line in ended.stderr.splitlines()), ended.stderr  # no library's noise
    code, out, _ = helpers.command(capsys, "plan", path, "--results", tmp_path / "results")
    assert code == 0 and out.count("  ok") == 1
    assert helpers.run(yaml.safe_load(path.read_text()), tmp_path / "results").measured == 0
    assert paths.results() != tmp_path / "results"


ORPHAN = """
import multiprocessing, sys
from multiprocessing.connection import Connection
from pathlib import Path
from mic2e_bench.run import forkserver
if __name__ == "__main__":
    forkserver.context = lambda: multiprocessing.get_context("spawn")  # it needs none of the libraries
    process, pipe = forkserver.call(Connection.recv, Path(sys.argv[1]))  # waits for a word that never comes
    print(process.pid)
"""


def test_a_child_without_an_owner_is_not_waited_for(tmp_path):
    """As an interrupt leaves it that comes between its start and the first use of it."""
    script = helpers.file(tmp_path / "script.py", ORPHAN)
    done = subprocess.run(
        [sys.executable, script, tmp_path / "log"], capture_output=True, text=True, timeout=120, check=True
    )
    assert not psutil.pid_exists(int(done.stdout))
