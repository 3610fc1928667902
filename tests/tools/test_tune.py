"""Searching for the front: proposals, budgets, resuming, finalists, sealed landscapes."""

import json

import numpy as np
import optuna
import pytest
from helpers import command, file, inputs
from tuning import SPACE, Measurer, search

from mic2e_bench.errors import BadInput
from mic2e_bench.plan import params
from mic2e_bench.records import record
from mic2e_bench.tools.recommend.pareto import nondominated
from mic2e_bench.tools.tune import finalists, hypervolume, measuring, sampler, space_file, story
from mic2e_bench.workshop.proof import landscape as bench
from mic2e_bench.workshop.proof import landscape_file


@pytest.fixture
def content(tmp_path):
    return {**SPACE, "inputs": inputs(tmp_path / "inputs")}


@pytest.fixture
def measurer(monkeypatch):
    def put(**changes):
        made = Measurer(**changes)
        monkeypatch.setattr(measuring.runner, "run", made.run)
        monkeypatch.setattr(measuring.score, "studies", lambda *args: [])
        return made

    return put


def test_a_value_that_a_receipt_calls_idle_is_not_tried_twice(content, tmp_path, measurer):
    measurer(fails=lambda settings: "attention" if settings["attention"] != "native" else "")
    found = search(content, tmp_path / "r", "16", patience=100)
    assert len(found["failed"]) == 1 and found["tried"] == 16
    read = story.read(tmp_path / "r" / "found")
    assert any("it never worked" in said for visit in read.visits for said in visit.dropped)


def test_a_value_that_raises_is_left_alone_once_it_is_the_only_suspect():
    def trial(params, values=None, **attributes):
        state = optuna.trial.TrialState.COMPLETE if values else optuna.trial.TrialState.FAIL
        spaces = {k: optuna.distributions.CategoricalDistribution((v,)) for k, v in params.items()}
        return optuna.trial.create_trial(
            state=state, params=params, distributions=spaces, values=values, user_attrs=attributes
        )

    failed = [trial({"attention": "sliced:4", "precision": p}, raised=True) for p in ("fp32", "bf16")]
    assert sampler.bad_values(failed) == {}
    one = trial({"attention": "math", "precision": "fp32"}, [1.0])
    assert sampler.bad_values([*failed, one]) == {}
    other = trial({"attention": "math", "precision": "bf16"}, [1.0])
    assert sampler.bad_values([*failed, one, other]) == {"attention": {"sliced:4"}}


def test_a_space_is_proposed_whole_and_then_ends(content):
    content["space"] = {**content["space"], "steps": [1, 2], "resolution": [64]}
    _, space = space_file.resolve(content)
    study, worth = optuna.create_study(sampler=sampler.sampler()), set(space.points)
    for count in range(18):
        trial, point = sampler.propose(study, space, worth)
        assert sampler.point_of(space, trial.params) == point
        worth.remove(point)
        study.tell(trial, float(count))
    with pytest.raises(sampler.Exhausted):
        sampler.propose(study, space, worth)


# searching


def test_a_search_finds_the_front_and_measures_nothing_twice(content, tmp_path, measurer):
    fake = measurer()
    found = search(content, tmp_path / "r", "36", patience=36, finalists=5)
    assert found["tried"] == 36 and found["fits"] and found["ended"] == "the budget of 36 trials is spent"
    assert len(fake.measured) == len(set(fake.measured))
    everything = costs_of_all(content)
    reference, ideal = hypervolume.frame(everything)
    stored = [record.read(path) for path in record.paths(tmp_path / "r" / "found")]
    measured = np.array([costs(one) for one in stored])
    assert hypervolume.share(measured, reference, ideal) > 0.95 * hypervolume.share(everything, reference, ideal)
    values = [[one["latency_s"], one["memory_bytes"], -one["quality_percent"]] for one in found["front"]]
    assert 1 <= len(values) <= 5 and nondominated(np.array(values)).all()
    assert "bundled stand-in" in found["stand_ins"] and "bundled stand-in" in found["text"]


def costs(one):
    return [one.latency_s[0], one.memory["peak_rss_bytes"], -one.quality["quality"]["value"]]


def costs_of_all(content):
    study, space = space_file.resolve(content)
    whole = measuring.Measuring(study, space, None)
    return np.array([costs(Measurer().record(whole.trial(point))) for point in space.points])


def test_each_finalist_is_measured_again_alone_and_the_same_command_again_measures_nothing(content, tmp_path, measurer):
    fake = measurer()
    found = search(content, tmp_path / "r", "16", finalists=3)
    for call in fake.calls:  # trials of one build are measured together
        keys = [trial.build_key for trial in call if trial.label != "baseline"]
        assert keys == sorted(keys)
    assert len(fake.again) == len(found["finalists"]) == 3
    assert {trial.id for trial in fake.again} == {one["id"] for one in found["finalists"]}
    assert all(one["latency_before_s"] for one in found["finalists"])
    fake = measurer()
    search(content, tmp_path / "r", "16", finalists=3)
    assert not fake.measured and not fake.again


def test_a_larger_budget_goes_on(content, tmp_path, measurer):
    fake = measurer()
    search(content, tmp_path / "r", "11", patience=100)
    found = search(content, tmp_path / "r", "15", patience=100)
    assert found["tried"] == 15 and len(fake.measured) == len(set(fake.measured))


def test_an_interrupted_search_goes_on_where_it_stopped(content, tmp_path, measurer):
    fake = measurer(stops_after=9)
    with pytest.raises(KeyboardInterrupt):
        search(content, tmp_path / "r", "14", patience=100)
    assert len(fake.measured) < 14
    fake.stops_after = 10**9
    found = search(content, tmp_path / "r", "14", patience=100)
    assert found["tried"] == 14
    stored = record.paths(tmp_path / "r" / "found-look1")
    assert len({path.stem for path in stored}) in (14, 15)  # with the baseline, where it is no trial


def test_what_fails_is_named_and_not_on_the_front(content, tmp_path, measurer):
    measurer(fails=lambda settings: "attention" if settings["attention"] != "native" else "")
    found = search(content, tmp_path / "r", "16", patience=100)
    assert found["failed"] and all(one["reason"] == "not_applied: attention" for one in found["failed"])
    assert all(one["settings"]["attention"] == "native" for one in found["front"])
    assert "failed" in found["text"]


def test_where_everything_fails_there_is_no_front_and_no_traceback(content, tmp_path, measurer):
    content["space"] = {"steps": [1, 2], "resolution": [64]}  # the baseline is none of its points
    measurer(fails=lambda settings: "steps" if settings["steps"] != 8 else "")
    found = search(content, tmp_path / "r", "4", patience=100)
    assert found["finalists"] == found["front"] == [] and not found["fits"] and len(found["failed"]) >= 1


def test_limits_hold_for_the_front(content, tmp_path, measurer):
    measurer()
    found = search(content, tmp_path / "r", "18", {"latency": 0.5, "quality": 40.0}, patience=100)
    assert found["front"]
    assert all(one["latency_s"] <= 0.5 and one["quality_percent"] >= 40 for one in found["front"])


def test_limits_out_of_reach_are_said_to_be(content, tmp_path, measurer):
    measurer()
    found = search(content, tmp_path / "r", "10", {"latency": 0.01})
    assert not found["fits"] and "Nothing that was tried fits" in found["text"]


def test_a_front_that_stands_still_ends_the_search(content, tmp_path, measurer):
    measurer()
    found = search(content, tmp_path / "r", "108", patience=4)
    assert found["tried"] < 108 and found["ended"] == "the front has not moved for 4 trials"


def test_a_small_space_is_measured_whole(content, tmp_path, measurer):
    content["space"] = {"steps": [1, 2], "resolution": [64, 128]}
    measurer()
    found = search(content, tmp_path / "r", "40")
    assert found["tried"] == 4 and found["ended"] == "no point that is left is forecast to move the front"


def test_a_budget_of_time_keeps_the_finalists_share(content, tmp_path, measurer, monkeypatch):
    measurer()
    clock = iter(range(0, 10**6, 3))  # asking the time takes 3 s
    for module in ("search", "looking"):
        monkeypatch.setattr(f"mic2e_bench.tools.tune.{module}.monotonic", lambda: next(clock))
    found = search(content, tmp_path / "r", "2m", patience=1000, finalists=4)
    assert "only the finalists' share is left" in found["ended"]
    assert 60 <= found["seconds"] <= 150


def test_looks_climb_a_ladder_and_the_front_has_the_full_protocol(content, tmp_path, measurer):
    content["inputs"] = inputs(tmp_path / "two", sizes=((96, 80), (80, 96)))
    content["protocol"] = {"warmup": 0, "repeats": 9, "seeds": [1, 2]}
    fake = measurer()
    found = search(content, tmp_path / "r", "20", finalists=3)

    def of(name):
        trials = [trial for call in fake.calls for trial in call if trial.study == name]
        return len(trials), {(len(t.inputs["items"]), t.protocol["repeats"], len(t.protocol["seeds"])) for t in trials}

    assert of("found-look1")[0] >= 20 and of("found-look1")[1] == {(1, 1, 1)}
    assert of("found-look2")[0] < of("found-look1")[0] and of("found-look2")[1] == {(2, 3, 1)}
    assert 3 <= of("found")[0] <= of("found-look2")[0] and of("found")[1] == {(2, 9, 2)}
    assert {one["id"] for one in found["finalists"]} <= {path.stem for path in record.paths(tmp_path / "r" / "found")}


def test_without_a_race_each_look_is_full_and_the_sampler_decides(content, tmp_path, measurer):
    content["protocol"] = {"warmup": 0, "repeats": 9, "seeds": [1, 2]}
    fake = measurer()
    found = search(content, tmp_path / "r", "12", races=False, sampler="random", patience=100)
    assert found["tried"] == 12 and {t.study for call in fake.calls for t in call} == {"found"}
    with pytest.raises(BadInput, match="unknown sampler 'rndom'"):
        search(content, tmp_path / "r", "12", sampler="rndom")


def test_the_story_of_a_search_is_told_from_what_it_stored(content, tmp_path, measurer):
    measurer()
    found = search(content, tmp_path / "r", "24", patience=100)
    read = story.read(tmp_path / "r" / "found")
    assert read.visits[-1].tried == 24 and set(read.visits[-1].front) <= set(read.costs)
    assert sum(len(visit.looked_at) for visit in read.visits if visit.protocol == 1) == 24
    assert len(read.costs) + len(read.failed) == 24 and len(read.names) == 24
    assert len(read.stages()) <= 6 and read.stages()[-1] is read.visits[-1]
    assert len(read.beaten().rows) == 24 - len(read.visits[-1].alive)
    assert len(story.finalists(tmp_path / "r" / "found").rows) == 1 + len(found["finalists"])
    with pytest.raises(BadInput, match="no search is stored there"):
        story.read(tmp_path / "r" / "nosuch")


def test_spanning_points_are_kept():
    costs = np.array([[0, 9.0], [9, 0], [4, 4], [4.1, 3.95], [3.9, 4.1]])
    assert sorted(finalists.spanning(costs, 3))[:2] == [0, 1]


def test_records_of_another_machine_are_not_mixed_in(content, tmp_path, measurer):
    fake = measurer()
    search(content, tmp_path / "r", "8", patience=100)
    real = fake.record
    fake.record = lambda trial: record.Record.of(
        {**(raw := real(trial).raw), "environment": {**raw["environment"], "host": "elsewhere"}}
    )
    with pytest.raises(BadInput, match="different environments"):
        search(content, tmp_path / "r", "16", patience=100)


# sealed landscapes


def test_a_landscape_is_packed_and_replayed(content, tmp_path, measurer, capsys):
    content = {**content, "vary": {"steps": [1, 2, 4, 8], "guidance": [1.0, 2.5], "guidance_stop": [0.5, 1.0]}}
    del content["space"]
    study = params.resolve_study(content)
    with pytest.raises(BadInput, match="have no record"):
        landscape_file.pack(study, tmp_path)
    fake = measurer(fails=lambda settings: "steps" if settings["steps"] == 2 else "")
    for trial in study.trials:
        if trial.id not in study.refused:
            record.write(tmp_path, fake.record(trial))
    path = landscape_file.write(landscape_file.pack(study, tmp_path), tmp_path / "landscape")
    before = path.read_bytes()
    assert landscape_file.write(landscape_file.pack(study, tmp_path), tmp_path / "landscape").read_bytes() == before
    landscape = landscape_file.load(path)
    values = landscape.space.values
    assert len(values) == 12 and sum(value is None for value in values.values()) == 3
    for point, value in values.items():
        settings = landscape.space.settings(point)
        trial = next(t for t in study.trials if settings.items() <= t.settings.items())
        assert value is None or list(value) == pytest.approx(costs(fake.record(trial)))
    assert bench.volume(landscape, [value for value in values.values() if value]) == pytest.approx(1.0)


def test_a_damaged_landscape_is_named(tmp_path):
    (tmp_path / "x.json.gz").write_bytes(b"no")
    with pytest.raises(BadInput, match=r"x\.json\.gz: no landscape"):
        landscape_file.load(tmp_path / "x.json.gz")
    with pytest.raises(BadInput, match="no such landscape"):
        landscape_file.load(tmp_path / "y.json.gz")


# for real


def test_a_search_on_a_real_pipeline(tmp_path, capsys):
    content = {
        "study": "real",
        "pipeline": "flux-schnell",
        "inputs": {"source": "bundled", "limit": 2},
        "baseline": {"steps": 1, "resolution": 64, "threads": 1},
        "space": {"precision": ["fp32", "bf16"], "offload": ["none", "model"]},  # no offload without a GPU
        "protocol": {"warmup": 0, "repeats": 1, "seeds": [42]},
        "metrics": ["ssim"],
    }
    path = file(tmp_path / "p.yaml", content)
    code, out, err = command(capsys, "tune", path, "--results", tmp_path / "r", "--budget", "4", "--finalists", "1")
    assert code == 0, err
    assert "2 of 2 points tried" in out and "bundled stand-in" in out and "finalist 1/" in err
    found = json.loads((tmp_path / "r" / "real" / "tune" / "front.json").read_text())
    assert found["front"] and found["quality"] == "ssim" and found["memory"] == "peak_rss_bytes"
    code, out, _ = command(capsys, "recommend", "real", "--results", tmp_path / "r")
    assert code == 0 and "Best:" in out
