"""Trials that take turns, on real children: who is called when, what a failure costs, and what tables say of it."""

import json

import faulty_workers
import helpers
import made_records
import pytest
from helpers import on_disk, tiny

from mic2e_bench import files, seal
from mic2e_bench.catalog import rounding
from mic2e_bench.plan.trial import grouped
from mic2e_bench.records import ratios
from mic2e_bench.report import findings, tables
from mic2e_bench.run import kept, unfinished

TURNS = {"warmup": 1, "repeats": 3, "seeds": [42], "interleave": True}


def study(**changes):
    """Four trials in two builds."""
    content = tiny(vary={"steps": [1, 2], "precision": ["fp32", "bf16"]}, protocol=TURNS)
    return {**content, **changes}


def watch(monkeypatch, journal):
    """Every worker notes its calls in ``journal``."""
    helpers.workers(monkeypatch, faulty_workers.watched, str(journal))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The study, measured; the journal of its calls lies beside it."""
    results = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        watch(patch, results / "calls")
        summary = helpers.run(study(), results)
    assert summary.measured == 4 and not summary.failed
    return results


def test_trials_take_turns_across_builds(measured):
    records = on_disk(measured)
    assert {one["timing"]["rounds"] for one in records.values()} == {records["baseline"]["timing"]["rounds"]}
    for one in records.values():
        assert len(one["timing"]["latency_s"]) == 3 and len(one["timing"]["warmup_s"]) == 1
        assert one["timing"]["ended_by"] == {"warmup": "count", "repeats": "count"}
        assert one["timing"]["calls_s"] > sum(one["timing"]["latency_s"])
        assert all(receipt["applied"] for receipt in one["receipts"].values())
    calls = [json.loads(line) for line in (measured / "calls").read_text().splitlines()]
    turns, names = calls[-12:], ("fp32 1", "fp32 2", "bf16 1", "bf16 2")
    drawn = [[name for name, *_ in turns[at : at + 4]] for at in (0, 4, 8)]
    assert all(sorted(each) == sorted(names) for each in drawn) and len(set(map(tuple, drawn))) > 1
    labels = ("baseline", "steps=2, precision=fp32", "steps=1, precision=bf16", "steps=2, precision=bf16")
    for name, label in zip(names, labels, strict=True):
        assert records[label]["timing"]["turns"] == [each.index(name) for each in drawn]
        assert records[label]["timing"]["builds"] == [0, 0, 0]
    assert len({pid for _, pid, _ in turns}) == 2 and not any(callbacks for *_, callbacks in turns)
    assert helpers.whole(measured)
    old = helpers.frozen(measured)
    assert helpers.run(study(), measured).measured == 0 and helpers.frozen(measured) == old


def test_tables_show_the_ratio_alone_and_say_how_it_was_measured(measured, tmp_path):
    apart = tiny(study="apart", protocol={"warmup": 1, "repeats": 3})
    for number, trial in enumerate(helpers.study(apart).trials, 1):
        made_records.measured(helpers.study(apart), tmp_path, trial, number)
    for content, results, words in ((study(), measured, "were interleaved"), (apart, tmp_path, "not interleaved")):
        found = findings.read(helpers.study(content), results)
        row = found.trials.iloc[1]
        text = " ".join(tables.main(found).text().split())
        why, count = ("one build", 3) if words == "were interleaved" else ("not interleaved", 1)
        assert row["speedup"] > 0 and row["speedup_why"] == why and "× [" not in text
        assert words in text and f"A ratio without an interval ({why}: {count}) concludes nothing." in text
        records = list(found.records.values())[:2]
        assert ratios.speedup(*records).interleaved is (words == "were interleaved")
        assert f"speedup_ratio{'_ci95_low'}" in tables.csv(found)


SPREAD = {"warmup": 1, "repeats": 5, "seeds": [42], "interleave": True, "builds": 3}


def test_rounds_are_spread_over_builds_and_the_baseline_is_there_twice(tmp_path, monkeypatch):
    watch(monkeypatch, tmp_path / "calls")
    made = study(vary={"steps": [1, 2]}, protocol={**SPREAD, "builds": 2})
    assert helpers.run(made, tmp_path).measured == 2
    one, other = (on_disk(tmp_path)[label]["timing"] for label in ("baseline", "steps=2"))
    assert one["builds"] == other["builds"] == [0, 0, 1, 1, 1] and one["rounds"] == other["rounds"]
    assert len(one["latency_s"]) == len(other["latency_s"]) == len(one["placebo_s"]) == 5
    assert "placebo_s" not in other and one["ended_by"]["repeats"] == "count"
    assert sorted(one["turns"] + other["turns"])[0] == 0 and max(one["turns"] + other["turns"]) == 2
    calls = [json.loads(line)[:2] for line in (tmp_path / "calls").read_text().splitlines()]
    # by process, those of a build together: a warm-up of each trial, then its rounds; the first also has its pictures
    pids = list(dict.fromkeys(pid for _, pid in calls))
    counts = [sorted(name for name, pid in calls if pid == mine) for mine in pids]
    assert len(pids) == 4
    assert (counts[0].count("fp32 1"), counts[0].count("fp32 2")) == (1 + 2 + 2 + len(rounding.KINDS), 1 + 2 + 2)
    assert counts[1] == ["fp32 1"] * 3
    # which is warmed up first, is drawn
    assert sorted(counts[2:]) == [["fp32 1"] * 4, ["fp32 1"] * 4 + ["fp32 2"] * 4]
    assert helpers.whole(tmp_path) and helpers.run(made, tmp_path).measured == 0
    baseline, record = (helpers.records(tmp_path)[label] for label in ("baseline", "steps=2"))
    assert ratios.speedup(baseline, record).why == "2 builds, fewer than 6"


def interrupted_in_the_third_build(results, monkeypatch):
    """What the two finished builds left of rounds over three."""

    def build_again(child):
        if len(child.parts[next(iter(child.parts))]["timing"]["latency_s"]) == 3:
            raise KeyboardInterrupt
        whole(child)

    with monkeypatch.context() as patch:
        helpers.workers(patch, helpers.with_one_peak)
        whole = kept.Kept.build_again
        patch.setattr(kept.Kept, "build_again", build_again)
        with pytest.raises(KeyboardInterrupt):
            helpers.run(over_three_builds(), results)
    assert not on_disk(results)
    return results / over_three_builds()["study"] / unfinished.NAME


def over_three_builds():
    return study(vary={"precision": ["fp32", "bf16"]}, protocol=SPREAD)


def is_taken_up_only_as_it_was(state):
    as_it_was, groups = state.read_bytes(), grouped(helpers.study(over_three_builds()).trials)
    here = seal.read(state)["here"]
    assert unfinished.read(state.parent, groups)["builds"] == 2
    assert not unfinished.read(state.parent, groups[:1])  # the others have their records

    def written(**changes):
        return files.as_json(seal.sealed({**seal.read(state), **changes}))

    for content in (
        as_it_was[:-100],
        as_it_was.replace(b'"builds": 2', b'"builds": 1', 1),
        b"[]",
        written(here={**here, "boot": "another"}),
        written(here={**here, "git": {"commit": "another"}}),
        written(here={**here, "packages": {}}),
        written(children=[{"parts": {"0" * 16: {}}, "role": ""}]),
    ):
        state.write_bytes(content)
        assert not unfinished.read(state.parent, groups)
        state.write_bytes(as_it_was)


def test_interrupted_rounds_go_on_after_their_last_finished_build(tmp_path, monkeypatch, capsys):
    state = interrupted_in_the_third_build(tmp_path, monkeypatch)
    assert "go on after the last finished build" in capsys.readouterr().err
    is_taken_up_only_as_it_was(state)
    written = seal.read(state)
    assert written["builds"] == 2 and len(written["children"]) == 3  # two builds and the placebo
    written["children"][0]["disturbed"] = ["other processes used 40% of the processors"]
    state.write_bytes(files.as_json(seal.sealed(written)))
    before = {id: parts for child in written["children"] for id, parts in child["parts"].items() if not child["role"]}
    watch(monkeypatch, tmp_path / "calls")
    assert helpers.run(over_three_builds(), tmp_path).measured == 2 and not state.exists()
    assert "tiny: its rounds go on after build 2" in capsys.readouterr().err
    calls = [json.loads(line)[:2] for line in (tmp_path / "calls").read_text().splitlines()]
    assert len({pid for _, pid in calls}) == 3 and len(calls) == 3 + 3 * 2  # a build each: warm-ups and two rounds
    found = on_disk(tmp_path)
    for one in found.values():
        assert one["timing"]["builds"] == [0, 1, 1, 2, 2] and one["status"] == "ok"
        assert one["timing"]["latency_s"][:3] == before[one["id"]]["timing"]["latency_s"]
        assert one["images"] and all(receipt["applied"] for receipt in one["receipts"].values())
    assert len({one["timing"]["rounds"] for one in found.values()}) == 1
    assert len(found["baseline"]["timing"]["placebo_s"]) == 5
    assert "other processes used 40% of the processors" in found["baseline"]["environment"]["disturbed"]
    assert found["baseline"]["environment"]["started"] == written["children"][0]["started"]
    assert helpers.whole(tmp_path) and helpers.run(over_three_builds(), tmp_path).measured == 0


@pytest.mark.parametrize("fault", ["placebo", "later"])
def test_a_failure_in_a_build_of_many(fault, tmp_path, monkeypatch):
    helpers.workers(monkeypatch, faulty_workers.failing_by_group, fault)
    helpers.run(study(vary={"steps": [1, 2]}, protocol={**SPREAD, "repeats": 2, "builds": 2}), tmp_path)
    found = on_disk(tmp_path)
    broken, timing = found["steps=2"], found["baseline"]["timing"]
    assert found["baseline"]["status"] == "ok" and timing["builds"] == [0, 1]
    if fault == "placebo":  # it costs the interval
        assert broken["status"] == "ok" and "placebo_s" not in timing
        assert timing["placebo_failed"].startswith("error: ArithmeticError: on the second round")
    else:  # its trial, and the other goes on in rounds of its own
        assert broken["status"] == "error" and broken["reason"].startswith("ArithmeticError")
        assert broken["environment"]["log"].endswith(".later.log") and len(timing["placebo_s"]) == 2


def test_a_failure_costs_its_trial_only(tmp_path, monkeypatch):
    """In the second round, in three builds at once; a fourth cannot be had at all."""
    helpers.workers(monkeypatch, faulty_workers.failing_in_the_second_round)
    broken = [{"attention": name, "steps": 2} for name in faulty_workers.IN_SECOND_ROUND]
    others = [{"attention": "math"}, {"attention": "sliced:auto"}]
    trials = [{"steps": 2}, *broken, *others, {"attention": "sliced:99"}]
    # the time limit is one of loading and warming up as well
    helpers.run(study(vary=None, trials=trials, protocol={**TURNS, "repeats": 2, "timeout_s": 8}), tmp_path)
    records = on_disk(tmp_path)
    for label, status, reason in (
        ("attention=math, steps=2", "error", "ArithmeticError: on the second round"),
        ("attention=sliced:auto, steps=2", "error", "the process was ended by SIGABRT in stage: round 2"),
        ("attention=sliced:2, steps=2", "timeout", "longer than 8 s, in stage: round 2"),
        ("attention=sliced:99", "error", "ValueError: size 99"),
    ):
        broken = records.pop(label)
        assert broken["status"] == status and broken["reason"].startswith(reason)
    assert [one["status"] for one in records.values()] == ["ok"] * 4
    assert {len(one["timing"]["latency_s"]) for one in records.values()} == {2}
    # the process of a call that ended half-way measures no more: its other trial takes its turns without those of the
    # first rounds, and is not said to have been among them
    rounds = {label: one["timing"]["rounds"] for label, one in records.items()}
    assert rounds["baseline"] == rounds["steps=2"]
    assert rounds["attention=math"] == rounds["attention=sliced:auto"] != rounds["baseline"]


def test_a_process_for_each_call_takes_no_turns(tmp_path):
    helpers.run(study(vary={"process": ["kept", "per_call"]}, protocol={**TURNS, "repeats": 1}), tmp_path)
    records = on_disk(tmp_path)
    assert "rounds" in records["baseline"]["timing"]
    alone = records["process=per_call"]
    assert alone["status"] == "ok" and "rounds" not in alone["timing"] and len(alone["timing"]["latency_s"]) == 1


def test_rounds_end_when_every_median_is_known(tmp_path, monkeypatch):
    helpers.workers(monkeypatch, helpers.with_one_peak)
    repeats = {"until": 0.9, "min": 6, "max": 40, "budget_s": 60}
    helpers.run(study(vary={"steps": [1, 2]}, protocol={**TURNS, "warmup": "steady", "repeats": repeats}), tmp_path)
    for one in on_disk(tmp_path).values():
        assert 6 <= len(one["timing"]["latency_s"]) < 40 and one["timing"]["ended_by"]["repeats"] == "interval"
        assert one["timing"]["ended_by"]["warmup"] in ("steady", "cap") and len(one["timing"]["warmup_s"]) >= 3


def test_what_finds_no_memory_beside_the_others_is_tried_alone(monkeypatch, tmp_path, capsys):
    helpers.workers(monkeypatch, faulty_workers.crowded)
    trials = [{"steps": 2}, {"precision": "bf16"}]
    helpers.run(study(vary=None, trials=trials, protocol={**TURNS, "repeats": 2}), tmp_path)
    records = on_disk(tmp_path)
    assert {label: one["status"] for label, one in records.items()} == dict.fromkeys(records, "ok")
    rounds = {label: one["timing"]["rounds"] for label, one in records.items()}
    assert rounds["baseline"] == rounds["steps=2"] != rounds["precision=bf16"]
    assert all(len(one["timing"]["latency_s"]) == 2 for one in records.values())
    assert "no memory beside the other builds; tried alone" in capsys.readouterr().err
