"""The command line: exit codes, what it prints, and what it leaves alone."""

import json
import subprocess
import sys
from pathlib import Path

import helpers
import pytest
from helpers import on_disk, tiny

from mic2e_bench import cli
from mic2e_bench.catalog import registry


@pytest.fixture
def path(tmp_path):
    return helpers.file(tmp_path / "study.yaml", tiny())


@pytest.mark.parametrize("command", ["run", "report"])
@pytest.mark.parametrize("place", ["study.yaml", "study.yaml/below/a/file", "/proc/mic2e-bench"])
def test_results_that_cannot_be_written(command, place, path, tmp_path, capsys):
    if command == "report":
        pytest.importorskip("nbformat")
    results = tmp_path / place
    line = helpers.refusal(capsys, command, path, "--results", results)
    assert str(results) in line and "--results DIR" in line
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_plan_needs_no_results(path, tmp_path, capsys):
    for place in ("nowhere", "study.yaml/below"):
        code, out, err = helpers.command(capsys, "plan", path, "--results", tmp_path / place)
        assert code == 0 and err == "" and out.count("to measure") == 2
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_dry_run_writes_nothing(path, tmp_path, capsys):
    for command in ("run", "report"):
        code, out, _ = helpers.command(capsys, command, path, "--dry-run", "--results", tmp_path / "results")
        assert code == 0 and out.count("to measure") == 2
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_plan_says_what_is_refused(tmp_path, capsys):
    path = helpers.file(tmp_path / "x.yaml", {"pipeline": "sam3", "vary": {"attention": ["sliced:1"]}})
    code, out, _ = helpers.command(capsys, "plan", path)
    assert code == 0 and "refused: attention sliced:1: transformers' SAM3 has no attention slicing" in out


@pytest.mark.parametrize("arguments", [[], ["measure"], ["plan"], ["run", "--strikt", "x.yaml"], ["list", "tools"]])
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize("what", ["pipelines", "toggles", "metrics", "presets"])
def test_lists(what, capsys):
    code, out, err = helpers.command(capsys, "list", what)
    assert code == 0 and err == ""
    assert all(name in out for name in getattr(registry, what, lambda: ["BALANCED", "LOW_MEMORY"])())


def test_one_bad_file_of_several_measures_nothing(path, tmp_path, capsys):
    bad = helpers.file(tmp_path / "bad.yaml", tiny(pipeline="objectcleer"))
    assert str(bad) in helpers.refusal(capsys, "run", path, bad, "--results", tmp_path / "results")
    assert not (tmp_path / "results").exists()


def run_python(*arguments, **options):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, **options)


def test_as_a_module(path, tmp_path):
    """A real process: one line, no traceback, exit code 2; and a good plan from another folder."""
    bad = helpers.file(tmp_path / "bad.yaml", tiny(baseline={"stepps": 1}))
    ended = run_python("-m", "mic2e_bench", "run", "bad.yaml", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(
        f"mic2e-bench: {bad.name}: baseline: unknown setting 'stepps'. Did you mean 'steps'?"
    )
    assert ended.stderr.count("\n") == 1
    ended = run_python("-m", "mic2e_bench", "--version")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_reader_that_has_seen_enough(path):
    """As in ``mic2e-bench list toggles | head -1``."""
    command = [sys.executable, "-m", "mic2e_bench", "list", "toggles"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        started.stdout.close()
        noise = started.stderr.read()
    assert (started.returncode, noise) == (0, b"")


def test_the_working_folder_is_found_from_below(tmp_path, monkeypatch):
    from mic2e_bench import paths

    for name in ("params", "notebooks"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert paths.results() == tmp_path / "results"
    assert paths.find("params") == tmp_path / "params"
    assert paths.find("/nowhere") == Path("/nowhere")


def test_weights_that_cannot_be_had(tmp_path, capsys):
    """Each is a row that says which, why and what to do; --strict makes it the exit code."""
    results = tmp_path / "results"
    reasons = {
        "published": "weights of black-forest-labs/FLUX.1-schnell (revision main): HF_HUB_OFFLINE=1 forbids",
        "nobody/nothing": "weights of nobody/nothing (revision main): HF_HUB_OFFLINE=1 forbids",
    }
    for index, (model, reason) in enumerate(reasons.items()):
        content = {"study": f"s{index}", "pipeline": "flux-schnell", "model": model, "inputs": helpers.photos()}
        path = helpers.file(tmp_path / "study.yaml", content)
        code, out, _ = helpers.command(capsys, "run", path, "--results", results, "--strict")
        (record,) = on_disk(results, f"s{index}").values()
        assert code == 1 and record["status"] == "unavailable" and reason in record["reason"]
        assert "\n" not in record["reason"] and record["reason"] in out
    assert "Licence page: huggingface.co/nobody/nothing" in on_disk(results, "s1")["baseline"]["reason"]
    assert helpers.command(capsys, "run", path, "--results", results)[0] == 0


def test_run_prints_where_the_time_went(path, tmp_path, capsys):
    code, out, err = helpers.command(capsys, "run", path, "--results", tmp_path / "results", "--strict")
    assert code == 0
    assert "2 trials: 2 ok" in out and "of pipeline calls" in out and "one import of the libraries" in out
    before = ("versions: not the locked set", "importing torch")
    said = [line.partition(" [")[0] for line in err.splitlines() if not line.startswith(before)]
    assert said == ["tiny 1/2 baseline: ok", "tiny 2/2 steps=2: ok"]
    for record in on_disk(tmp_path / "results").values():
        assert json.dumps(record["quality"])
