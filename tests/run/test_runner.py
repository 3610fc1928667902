"""The runner on real workers: statuses, resuming, and workers that break."""

import os
import signal

import faulty_workers
import helpers
import pytest
from helpers import on_disk, tiny

from mic2e_bench.machine import environment
from mic2e_bench.records import record
from mic2e_bench.run import forkserver, runner


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    return results, helpers.run(tiny(), results)


def test_an_ok_record(measured):
    results, summary = measured
    for one in on_disk(results).values():
        assert one["status"] == "ok" and one["reason"] == ""
        assert all(receipt["applied"] for receipt in one["receipts"].values())
        assert set(one["receipts"]) == set(one["trial"]["settings"])
        assert len(one["timing"]["latency_s"]) == 1 and one["timing"]["latency_s"][0] > 0
        assert one["memory"]["peak_rss_bytes"] > one["memory"]["weights_bytes"] > 20e6
        assert {"host", "device", "python", "packages", "started", "finished"} <= set(one["environment"])
        assert (results / "tiny" / one["environment"]["log"]).is_file()
    assert helpers.whole(results)
    assert summary.measured == 2 and not summary.failed
    assert summary.wall_s > summary.calls_s > 0 and summary.import_s > 0


def test_trials_of_one_build_share_a_child(measured):
    records = on_disk(measured[0]).values()
    assert len({record["environment"]["log"] for record in records}) == 1
    assert len({record["timing"]["load_s"] for record in records}) == 1


def test_what_is_measured_is_not_measured_again(measured, monkeypatch):
    results, before = measured
    old = helpers.frozen(results)
    monkeypatch.setattr(forkserver, "call", None)  # nothing may be started
    again = helpers.run(tiny(), results)
    assert helpers.frozen(results) == old
    assert again.measured == 0 and again.records == before.records


def test_only_what_is_new_is_measured(measured):
    results, _ = measured
    old = helpers.frozen(results)
    summary = helpers.run(tiny(vary={"steps": [1, 2, 3]}), results)
    assert summary.measured == 1 and len(summary.records) == 3
    assert old.items() <= helpers.frozen(results).items()


def test_rerun_measures_again_and_sees_the_same_images(measured):
    results, _ = measured
    times, images = ({r["id"]: r[key] for r in on_disk(results).values()} for key in ("timing", "images"))
    summary = helpers.run(tiny(), results, rerun=True)
    assert summary.measured == 2
    for one in summary.records.values():
        assert one.raw["timing"] != times[one.id] and one.images == images[one.id]


def disturb(results, *labels):
    """The records of these trials say that other work disturbed them; the others say that nothing did."""
    for label, one in on_disk(results).items():
        here = {**one["environment"], "disturbed": ["made-up work"] if label in labels else []}
        helpers.rewrite(results / "tiny" / f"{one['id']}.json", {**one, "environment": here})


def test_what_was_disturbed_is_measured_again_alone(measured):
    results, _ = measured
    disturb(results)
    assert helpers.run(tiny(), results, rerun="disturbed").measured == 0
    disturb(results, "steps=2")
    assert helpers.run(tiny(), results, rerun="disturbed").measured == 1
    assert "made-up work" not in on_disk(results)["steps=2"]["environment"]["disturbed"]


def test_of_trials_that_took_turns_all_are_measured_again(tmp_path):
    content = tiny(protocol={"warmup": 1, "repeats": 1, "seeds": [42], "interleave": True})
    for trial in helpers.study(content).trials:
        record.write(tmp_path, record.make(trial, "ok"))
    disturb(tmp_path, "steps=2")
    assert helpers.run(content, tmp_path, rerun="disturbed").measured == 2


def test_what_cannot_be_had_is_a_row(tmp_path):
    cases = {
        "cuda": ({"device": "cuda"}, "unavailable", "no CUDA device"),
        "breaks": ({"attention": "sliced:99"}, "error", "ValueError: size 99"),
        "fallback": ({"attention": "xformers"}, "not_applied", "fell back to attention slicing"),
    }
    if environment.gpu():
        del cases["cuda"], cases["fallback"]
    trials = [{"label": label, **settings} for label, (settings, *_) in cases.items()]
    summary = helpers.run(tiny(vary=None, trials=trials), tmp_path)
    records = on_disk(tmp_path)
    assert records.pop("baseline")["status"] == "ok"
    for label, (_, status, reason) in cases.items():
        assert records[label]["status"] == status and reason in records[label]["reason"]
        assert "\n" not in records[label]["reason"]
    assert len(summary.failed) == len(cases)
    assert not records["breaks"]["images"] and records["breaks"]["timing"]["latency_s"] == []


def test_a_conflict_is_refused_and_can_be_forced(tmp_path):
    content = {
        "study": "tiny", "pipeline": "sam3", "inputs": helpers.photos(), "vary": {"attention": ["sliced:auto"]},
        "protocol": {"warmup": 0, "repeats": 1},
    }  # fmt: skip
    record.write(tmp_path, record.make(helpers.study(content).baseline, "ok"))
    assert helpers.run(content, tmp_path).measured == 0
    refused = on_disk(tmp_path)["attention=sliced:auto"]
    assert refused["status"] == "refused" and "no attention slicing" in refused["reason"]
    old = helpers.frozen(tmp_path)
    helpers.run(content, tmp_path)
    assert helpers.frozen(tmp_path) == old
    helpers.run(content, tmp_path, force=True)
    forced = on_disk(tmp_path)["attention=sliced:auto"]
    assert forced["id"] == refused["id"] and forced["status"] == "not_applied" and forced["images"]
    helpers.run(content, tmp_path, rerun=True)
    assert on_disk(tmp_path)["attention=sliced:auto"] == forced  # what --force measured is not thrown away


def test_a_killed_worker_costs_its_trial_only(tmp_path, monkeypatch):
    # the image is made six times more before the trial is done
    helpers.at_stage(monkeypatch, "image", lambda pid: os.kill(pid, signal.SIGKILL))
    helpers.run(tiny(), tmp_path)
    records = on_disk(tmp_path)
    assert records["baseline"]["status"] == "error" and records["steps=2"]["status"] == "ok"
    assert records["baseline"]["reason"].startswith("the process was ended by SIGKILL in stage: image ")
    assert helpers.run(tiny(), tmp_path).measured == 1  # failures are tried again


IN_A_TRIAL = {
    "abort": ("error", "the process was ended by SIGABRT in stage: repeat 1/1"),
    "exit": ("error", "the process exited with code 3 in stage: repeat 1/1"),
    "memory": ("oom", "MemoryError"),
    "allocation": ("oom", "RuntimeError: "),
    "raise": ("error", "ArithmeticError: a toggle that breaks (helpers.py:"),
    "hang": ("timeout", "longer than 8 s, in stage: repeat 1/1"),
}


def test_a_fault_costs_its_trial_only(tmp_path, monkeypatch):
    """Each fault in the calls of a trial of its own, between trials without."""
    faults = dict(enumerate(IN_A_TRIAL, 5))  # a trial is looked at in a call of at most four steps
    helpers.workers(monkeypatch, faulty_workers.failing_by_steps, faults)
    content = tiny(vary={"steps": [1, 5, 6, 2, *range(7, 11), 3]}, protocol={**tiny()["protocol"], "timeout_s": 8})
    helpers.run(content, tmp_path)
    records = on_disk(tmp_path)
    for steps, fault in faults.items():
        broken = records.pop(f"steps={steps}")
        status, reason = IN_A_TRIAL[fault]
        assert broken["status"] == status and broken["reason"].startswith(reason)
    assert {label: one["status"] for label, one in records.items()} == dict.fromkeys(
        ("baseline", "steps=2", "steps=3"), "ok"
    )
    assert helpers.whole(tmp_path)


@pytest.mark.parametrize(
    "fault, status, reason",
    [
        ("abort at load", "error", "the process was ended by SIGABRT in stage: load"),
        ("hang at load", "timeout", "longer than 1 s, in stage: load"),
        ("heir", "error", "the process was ended by SIGABRT in stage: load"),
    ],
)
def test_a_fault_before_the_first_trial_is_the_whole_builds(fault, status, reason, tmp_path, monkeypatch):
    helpers.with_fault(monkeypatch, fault)
    helpers.run(tiny(protocol={**tiny()["protocol"], "timeout_s": 1 if "hang" in fault else 60}), tmp_path)
    assert {(r["status"], r["reason"]) for r in on_disk(tmp_path).values()} == {(status, reason)}


def test_inputs_that_change_after_planning(tmp_path):
    planned = helpers.study(tiny(inputs=helpers.inputs(tmp_path / "in"), vary=None))
    reason = f"the image of 'in0' in {tmp_path / 'in'} is not what it was when the study was planned: run it again."
    changed = helpers.picture((96, 80), seed=9)
    for change in (changed.save, lambda path: path.unlink()):
        change(tmp_path / "in" / "in0.png")
        (one,) = runner.run([planned], tmp_path).records.values()
        assert (one.status, one.reason) == ("error", reason)
