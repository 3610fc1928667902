"""Trials that take turns, on real children: who is called when, what a failure costs, and what tables say of it."""

import json
import os
import signal
from pathlib import Path

import helpers
import psutil
import pytest
from helpers import on_disk, tiny

from mic2e_bench.records import ratios
from mic2e_bench.report import findings, tables
from mic2e_bench.run import worker

TURNS = {"warmup": 1, "repeats": 3, "seeds": [42], "interleave": True}


def study(**changes):
    """Four trials in two builds."""
    content = tiny(vary={"steps": [1, 2], "precision": ["fp32", "bf16"]}, protocol=TURNS)
    return {**content, **changes}


def crowded(trials, images, pipe):
    """The worker's process, in which bf16 finds no memory while another child holds a build."""

    def find_no_memory(build):
        others = psutil.Process(os.getppid()).children()
        if build.settings["precision"] == "bf16" and len(others) > 1:
            raise MemoryError

    helpers.before_calls(find_no_memory)
    worker.main(trials, images, pipe)


def watched(journal, fault, trials, images, pipe):
    """The worker's process, in which every call of the pipeline is noted in a file, and one of them goes wrong."""

    def note(build):
        name = f"{build.settings['precision']} {build.call['steps']}"
        with open(journal, "a") as file:
            print(json.dumps([name, os.getpid(), len(build.on_step)]), file=file)
        # the first call of a trial is its warm-up, then come two to look at it, then its rounds
        mine = [line for line in Path(journal).read_text().splitlines() if json.loads(line)[0] == name]
        if fault and (name, len(mine)) == ("bf16 2", 5):
            FAULTS[fault]()

    helpers.before_calls(note)
    worker.main(trials, images, pipe)


def _raise():
    raise ArithmeticError("on the second round")


FAULTS = {"raise": _raise, "abort": os.abort, "hang": signal.pause}


def watch(monkeypatch, journal, fault=""):
    """Every worker notes its calls in ``journal``."""
    helpers.workers(monkeypatch, watched, str(journal), fault)


def test_trials_take_turns_across_builds(tmp_path, monkeypatch):
    watch(monkeypatch, tmp_path / "calls")
    summary = helpers.run(study(), tmp_path)
    assert summary.measured == 4 and not summary.failed
    records = on_disk(tmp_path)
    assert {one["timing"]["rounds"] for one in records.values()} == {records["baseline"]["timing"]["rounds"]}
    for one in records.values():
        assert len(one["timing"]["latency_s"]) == 3 and len(one["timing"]["warmup_s"]) == 1
        assert one["timing"]["ended_by"] == {"warmup": "count", "repeats": "count"}
        assert one["timing"]["calls_s"] > sum(one["timing"]["latency_s"])
        assert all(receipt["applied"] for receipt in one["receipts"].values())
    calls = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    turns = calls[-12:]
    assert [name for name, *_ in turns] == ["fp32 1", "fp32 2", "bf16 1", "bf16 2"] * 3
    assert len({pid for _, pid, _ in turns}) == 2 and not any(callbacks for *_, callbacks in turns)
    assert helpers.whole(tmp_path)
    old = helpers.frozen(tmp_path)
    assert helpers.run(study(), tmp_path).measured == 0 and helpers.frozen(tmp_path) == old


def test_tables_show_the_interval_and_say_how_it_was_measured(tmp_path):
    helpers.run(study(vary={"steps": [1, 2]}, protocol={**TURNS, "repeats": 4}), tmp_path)
    helpers.run(tiny(study="apart", protocol={"warmup": 1, "repeats": 3}), tmp_path)
    for content, words in ((study(vary={"steps": [1, 2]}, protocol={**TURNS, "repeats": 4}), "were interleaved"),
                           (tiny(study="apart", protocol={"warmup": 1, "repeats": 3}), "not interleaved")):  # fmt: skip
        found = findings.read(helpers.study(content), tmp_path)
        row = found.trials.iloc[1]
        assert row["speedup_ci95_low"] <= row["speedup"] <= row["speedup_ci95_high"]
        text = tables.main(found).text()
        assert "× [" in text and words in " ".join(text.split())
        records = list(found.records.values())
        assert ratios.speedup(*records).interleaved is (words == "were interleaved")
        assert "1.00×" in text and "1.00× [" not in text.splitlines()[2]
        assert f"speedup_ratio{'_ci95_low'}" in tables.csv(found)


@pytest.mark.parametrize(
    "fault, status, reason",
    [
        ("raise", "error", "ArithmeticError: on the second round"),
        ("abort", "error", "the process was ended by SIGABRT in stage: round 2"),
        ("hang", "timeout", "longer than 12 s, in stage: round 2"),
    ],
)
def test_a_failure_in_a_round_costs_its_trial_only(fault, status, reason, tmp_path, monkeypatch):
    watch(monkeypatch, tmp_path / "calls", fault)
    helpers.run(study(protocol={**TURNS, "timeout_s": 12 if fault == "hang" else 200}), tmp_path)
    records = on_disk(tmp_path)
    broken = records["steps=2, precision=bf16"]
    assert broken["status"] == status and broken["reason"].startswith(reason)
    others = [one for one in records.values() if one is not broken]
    assert [one["status"] for one in others] == ["ok"] * 3
    assert {len(one["timing"]["latency_s"]) for one in others} == {3}
    # the process of a call that ended half-way measures no more: its other trial takes its turns without the others,
    # and is not said to have been among them
    assert len({one["timing"]["rounds"] for one in others}) == 2
    assert records["baseline"]["timing"]["rounds"] == records["steps=2, precision=fp32"]["timing"]["rounds"]


def test_a_build_that_cannot_be_had_does_not_stop_the_rounds(tmp_path):
    content = study(vary=None, trials=[{"attention": "sliced:99"}, {"steps": 2}])
    helpers.run(content, tmp_path)
    records = on_disk(tmp_path)
    assert records["attention=sliced:99"]["status"] == "error"
    assert records["baseline"]["timing"]["rounds"] == records["steps=2"]["timing"]["rounds"]


def test_a_process_for_each_call_takes_no_turns(tmp_path):
    helpers.run(study(vary={"process": ["kept", "per_call"]}), tmp_path)
    records = on_disk(tmp_path)
    assert "rounds" in records["baseline"]["timing"]
    alone = records["process=per_call"]
    assert alone["status"] == "ok" and "rounds" not in alone["timing"] and len(alone["timing"]["latency_s"]) == 3


def test_rounds_end_when_every_median_is_known(tmp_path):
    repeats = {"until": 0.9, "min": 6, "max": 40, "budget_s": 60}
    helpers.run(study(vary={"steps": [1, 2]}, protocol={**TURNS, "warmup": "steady", "repeats": repeats}), tmp_path)
    for one in on_disk(tmp_path).values():
        assert 6 <= len(one["timing"]["latency_s"]) < 40 and one["timing"]["ended_by"]["repeats"] == "interval"
        assert one["timing"]["ended_by"]["warmup"] in ("steady", "cap") and len(one["timing"]["warmup_s"]) >= 3


def test_what_finds_no_memory_beside_the_others_is_tried_alone(monkeypatch, tmp_path, capsys):
    helpers.workers(monkeypatch, crowded)
    helpers.run(study(), tmp_path)
    records = on_disk(tmp_path)
    assert {label: one["status"] for label, one in records.items()} == dict.fromkeys(records, "ok")
    rounds = {label: one["timing"]["rounds"] for label, one in records.items()}
    assert rounds["baseline"] == rounds["steps=2, precision=fp32"]
    alone = [rounds[f"steps={steps}, precision=bf16"] for steps in (1, 2)]
    assert rounds["baseline"] not in alone
    assert all(len(one["timing"]["latency_s"]) == 3 for one in records.values())
    assert "no memory beside the other builds; tried alone" in capsys.readouterr().err
