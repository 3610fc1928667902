"""Spaces that a search goes through, and what is answered to bad ones and to bad arguments."""

import sys

import optuna
import pytest
from helpers import command, file, inputs, refusal
from tuning import SPACE

from mic2e_bench.plan import conflicts
from mic2e_bench.tools.tune import sampler, space_file
from mic2e_bench.tools.tune.guesses import guesses


@pytest.fixture
def content(tmp_path):
    return {**SPACE, "inputs": inputs(tmp_path / "inputs")}


def test_a_space_has_conditions_and_values_with_a_part_after_a_colon(content):
    _, space = space_file.resolve(content)
    assert len(space.points) == 108
    found = [space.settings(point) for point in space.points]
    assert {one["attention"] for one in found} == {"native", "sliced:1", "sliced:2"}
    assert all("guidance_stop" not in one for one in found if one["guidance"] == 1.0)
    assert {one["guidance_stop"] for one in found if one["guidance"] == 2.5} == {0.5, 1.0}


def test_points_that_conflict_or_cannot_run_here_are_no_points(content):
    content["space"] = {
        "guidance": [1.0, 2.5], "guidance_stop": [0.5, 1.0], "offload": ["none", "model"], "device": ["cpu"],
    }  # fmt: skip
    study, space = space_file.resolve(content)
    settings = [{**study.baseline.settings, **space.settings(point)} for point in space.points]
    assert len(settings) == 3
    assert not any(conflicts.find(one, study.pipeline) or one["offload"] == "model" for one in settings)
    assert sum(space.refused.values()) == 5


def test_a_vary_is_a_space_as_well(content):
    content["vary"] = {"steps": [1, 2], "resolution": [64, 128]}
    del content["space"], content["study"]
    study, space = space_file.resolve(content)
    assert study.name == "objectclear-steps-resolution" and len(space.points) == 4


def test_guesses_are_the_baseline_and_the_presets_nearest_points(content):
    study, space = space_file.resolve(content)
    found = {name: space.settings(point) for name, point in guesses(space).items()}
    assert found["baseline"] == {
        "steps": 8,
        "resolution": 128,
        "guidance": 2.5,
        "guidance_stop": 1.0,
        "attention": "native",
    }
    assert found["ULTRA_FAST"]["steps"] == 4 and found["ULTRA_FAST"]["resolution"] == 128
    assert not any(conflicts.find({**study.baseline.settings, **one}, study.pipeline) for one in found.values())


def test_a_large_space_is_sampled(content):
    content["space"] = {
        "steps": list(range(1, 60)),
        "resolution": list(range(64, 256, 2)),
        "guidance": [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0],
    }
    _, space = space_file.resolve(content)
    assert not space.is_whole and 20_000 < len(space.points) <= 40_000
    study, worth = optuna.create_study(sampler=sampler.sampler()), set(space.points)
    assert len({sampler.propose(study, space, worth)[1] for _ in range(5)}) == 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"space": {}}, "space: write setting: [value, value]"),
        ({"space": {"steps": []}}, "steps: write a list with at least one value"),
        ({"space": {"stepz": [1]}}, "Did you mean 'steps'?"),
        ({"space": {"steps": [0]}}, "steps: 0 is not a whole number from 1 to 1000"),
        ({"space": {"attention": [{"sliced": ["x"]}]}}, "attention: 'sliced:x' is not"),
        ({"space": {"steps": {"values": [1], "wenn": {}}}}, "Did you mean 'when'?"),
        ({"space": {"steps": {"values": [1], "when": {"guidance": [1]}}}}, "unknown setting above it 'guidance'"),
        ({"space": {"guidance": [1.0], "guidance_stop": [0.5]}}, "none of its 1 points can be measured"),
        ({"space": None}, "there is neither"),
        ({"vary": {"steps": [1]}}, "not space and vary"),
    ],
)
def test_a_bad_space_is_answered_in_one_line(content, tmp_path, capsys, change, said):
    path = file(tmp_path / "p.yaml", {**content, **change})
    assert said in refusal(capsys, "tune", path, "--results", tmp_path / "r")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--budget", "30x"], "unknown unit 'x'"),
        (["--budget", "1.5"], "has no unit"),
        (["--budget", "0"], "0 trials find nothing"),
        (["--budget", "-3"], "has no unit"),
        (["--budget", "0m"], "out of reach"),
        (["--max-latency", "4"], "--max-latency: '4' has no unit"),
        (["--min-quality", "120%"], "out of reach"),
        (["--patience", "0"], "--patience: 0 is not a whole number from 1"),
    ],
)
def test_bad_arguments_are_answered_in_one_line(content, tmp_path, capsys, arguments, said):
    path = file(tmp_path / "p.yaml", content)
    assert said in refusal(capsys, "tune", path, "--results", tmp_path / "r", *arguments)
    assert not (tmp_path / "r").exists()


def test_run_says_who_searches_a_space(content, tmp_path, capsys):
    assert "mic2e-bench tune" in refusal(capsys, "run", file(tmp_path / "p.yaml", content))


def test_without_optuna_there_is_one_line(content, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert "mic2e-bench[tune]" in refusal(capsys, "tune", file(tmp_path / "p.yaml", content), "--results", tmp_path)


def test_a_dry_run_shows_the_space(content, tmp_path, capsys):
    code, out, _ = command(capsys, "tune", file(tmp_path / "p.yaml", content), "--dry-run")
    assert code == 0 and "108 points" in out and "when guidance is 2.5" in out
