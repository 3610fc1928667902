"""A run that ends by a given time: what fits, what is left, and that nothing is lost; estimates without any run."""

import copy
import dataclasses
import os
import subprocess
import sys
import time

import helpers
import psutil
import pytest
from helpers import on_disk, process, tiny

from mic2e_bench import api
from mic2e_bench.errors import BadInput
from mic2e_bench.plan.trial import grouped
from mic2e_bench.records import record
from mic2e_bench.run import forkserver, runner
from mic2e_bench.tools.budget import budget, durations

# Python 3.12 and later warn of any fork of a process that has threads
pytestmark = pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")


def study(**changes):
    return helpers.study(tiny(**changes))


def measured(trial, latency=1.0, load=2.0, first=None, **environment):
    """A record as this machine would leave it."""
    from mic2e_bench.machine import environment as here

    samples = [latency] * trial.protocol["repeats"]
    calls = sum(samples) + latency + ((first or latency) - latency)
    timing = {"load_s": load, "first_call_s": first or latency, "latency_s": samples, "warmup_s": [], "calls_s": calls}
    return record.make(trial, "ok", timing=timing, environment={**here.here("cpu"), **environment})


def known(*records):
    found = durations.Durations()
    for one in records:
        found.add(one)
    return found


# ---- estimates


def test_priors_where_nothing_is_known():
    small, large = study(vary={"steps": [1, 50]}).trials
    found = durations.Durations()
    assert found.load_s(small) == durations.LOAD_S["bundled"]
    assert durations.OVERHEAD_S < found.trial_s(small) < found.trial_s(large)
    compiled = study(baseline={**helpers.TINY["baseline"], "compile": "default"}, vary=None).baseline
    assert found.trial_s(compiled) > durations.COLD_S["compile"][1]


def test_records_of_this_device_replace_priors_and_scale_with_the_work():
    small, large = study(vary={"steps": [1, 4]}, protocol={"repeats": 4, "warmup": 0}).trials
    found = known(measured(small, latency=1.0, load=2.0))
    assert found.load_s(large) == pytest.approx(2.0 * durations.MARGIN)
    assert 5.5 <= found.trial_s(small) <= 6.5
    assert found.trial_s(large) == pytest.approx(2 * found.trial_s(small))  # (4 + 2) steps for (1 + 2)
    assert known(measured(small, device="another card")).samples == {}


def test_the_nearest_record_decides_and_a_long_first_call_is_not_scaled():
    a, b, c = study(vary={"resolution": [64, 128, 256]}, protocol={"repeats": 4, "warmup": 0}).trials
    both = known(measured(a, latency=1.0), measured(c, latency=2.0))
    assert both.trial_s(c) == pytest.approx(known(measured(c, latency=2.0)).trial_s(c))
    cold = known(measured(a, latency=1.0, first=101.0)).trial_s(b)
    assert 110 < cold < 140


def test_a_process_for_each_call_loads_each_time():
    kept = study(vary=None, protocol={"repeats": 4, "warmup": 0})
    own = helpers.study(
        tiny(vary=None, protocol={"repeats": 4}, baseline={**helpers.TINY["baseline"], "process": "per_call"})
    )
    found = known(measured(kept.baseline, load=10.0))
    assert found.trial_s(own.baseline) > found.trial_s(kept.baseline) + 40


@pytest.mark.parametrize(
    "broken", [{"load_s": None}, {"latency_s": ["fast"]}, {"calls_s": float("inf")}, {"latency_s": []}]
)
def test_records_that_cannot_be_are_passed_over(broken):
    one = measured(study().baseline)
    assert known(dataclasses.replace(one, **broken)).samples == {}


def test_bounds_outlast_the_process_and_a_damaged_file_is_none(tmp_path):
    trial = study().baseline
    found = durations.Durations()
    found.cut(trial.id, 55.0)
    found.write(tmp_path)
    again = durations.Durations()
    again.read(tmp_path)
    assert again.trial_s(trial) > 55
    again.add(measured(trial, latency=0.1))
    assert again.trial_s(trial) < 5
    for content in ("[1]", "{", '{"a": "long"}', "[" * 100_000):
        (tmp_path / durations.FILE).write_text(content)
        durations.Durations().read(tmp_path)


# ---- what is taken


def limit(seconds, *records, **arguments):
    made = budget.Budget(seconds, **arguments)
    for one in records:
        made.durations.add(one)
    return made


def test_what_fits_is_taken_first_and_a_loaded_build_costs_nothing():
    cheap, dear, other = (
        study(vary={"steps": [1, 500]}).trials[0],
        *study(vary=None, trials=[{"steps": 500}, {"precision": "bf16"}]).trials[1:],
    )
    known = [measured(cheap, latency=1.0), measured(other, latency=1.0)]
    groups = [[dear], [dear, cheap], [other]]
    assert limit(30, *known).take(groups) == [cheap, dear]  # the first group does not fit; what fits goes to the front
    assert groups == [[dear], [other]]
    assert limit(30, *known).take([[dear]]) == []
    assert limit(3, *known).take(groups) == []


def test_trials_that_take_turns_begin_together_or_not_at_all():
    one = study(protocol={**helpers.TINY["protocol"], "warmup": 1, "interleave": True})
    records = [measured(trial, latency=3.0) for trial in one.trials]
    assert limit(60, *records).begins(grouped(one.trials))
    assert not limit(15, *records).begins(grouped(one.trials))


@pytest.mark.parametrize(
    "text, says", [("60", "has no unit"), ("soon", "is not a time"), ("0s", "out of reach"), ("5d", "unknown unit 'd'")]
)
def test_budgets_that_are_none(text, says, tmp_path, capsys):
    path = helpers.file(tmp_path / "study.yaml", tiny())
    line = helpers.refusal(capsys, "run", path, "--results", tmp_path / "r", "--budget", text)
    assert line.startswith(f"mic2e-bench: --budget: '{text}'") or says == "out of reach"
    assert says in line


def test_rerun_would_never_get_further(tmp_path):
    with pytest.raises(BadInput, match="give one"):
        api.run(tiny(), results=tmp_path, budget="60s", rerun=True)


def test_too_short_for_anything_names_the_trial_and_the_least(tmp_path):
    with pytest.raises(
        BadInput, match=r"'baseline' of tiny, needs about .* \(estimated\).* Give --budget \d+s"
    ) as error:
        api.run(tiny(), results=tmp_path, budget="2s")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "tiny").exists()  # nothing was started


def test_the_clock_starts_with_the_process():
    age = time.time() - psutil.Process().create_time()
    assert abs(budget.process_age_s() - age) < 2


# ---- real processes

MANY = {"vary": {"steps": [1, 2, 3], "precision": ["fp32", "bf16"]}}


@pytest.fixture(scope="module")
def running():
    forkserver.start()


def in_budget(content, results, seconds):
    """A run in a process of its own that shares this one's fork server."""
    try:
        os._exit(0 if api.run(content, results=results, budget=f"{seconds}s").left else 9)
    except BadInput:
        os._exit(2)


def until_done(content, results, seconds, most=20):
    """Runs with this budget until nothing is left, with twice the budget where one is too short; what each took."""
    took = []
    while budget.left_of(helpers.study(content), results):
        assert len(took) < most, "no progress"
        begin = time.monotonic()
        with process(in_budget, content, results, seconds) as started:
            started.join(100)
            assert started.exitcode in (0, 2)
        took.append((time.monotonic() - begin, seconds))
        seconds *= 2 if started.exitcode == 2 else 1
    return took


def test_many_short_runs_leave_what_one_leaves(running, tmp_path):
    """Every trial is measured, over several runs: the first has 4.4 s for six trials of two builds."""
    content = tiny(**MANY)
    took = until_done(content, tmp_path, 7.5)
    assert all(seconds < limit + 6 for seconds, limit in took), took
    many = on_disk(tmp_path)
    assert {(r["id"], r["status"]) for r in many.values()} == {(one.id, "ok") for one in helpers.study(content).trials}
    assert helpers.whole(tmp_path)


def test_what_takes_too_long_is_cut_off_and_not_begun_again_with_less(running, tmp_path, monkeypatch):
    """A trial that hangs: the first run ends it without a record, the next does not begin it."""
    helpers.with_fault(monkeypatch, "hang")
    summary = api.run(tiny(), results=tmp_path, budget="11s")
    assert summary.wall_s < 11 + 3
    assert [r["label"] for r in on_disk(tmp_path).values()] == ["baseline"]
    assert "1 of 2 trials are measured; 1 is left" in summary.left and "estimated" in summary.left
    assert (tmp_path / "tiny" / durations.FILE).exists()
    old = helpers.frozen(tmp_path)
    with pytest.raises(BadInput, match="'steps=2' of tiny"):
        api.run(tiny(), results=tmp_path, budget="6s")
    assert helpers.frozen(tmp_path) == old


def test_a_trial_that_failed_is_tried_again_after_all_others(running, tmp_path, monkeypatch):
    one = study()
    failed = record.make(one.baseline, "error", "by an earlier run", environment={"host": "here"})
    record.write(tmp_path, failed)
    order = []

    class Noted(runner.Progress):
        def done(self, trial, status):
            order.append(trial.id)
            super().done(trial, status)

    monkeypatch.setattr(runner, "Progress", Noted)
    summary = api.run(tiny(), results=tmp_path, budget="60s")
    assert order == [one.trials[1].id, one.baseline.id]
    assert not summary.failed and "all 2 trials have their record" in summary.left


def test_rounds_do_not_begin_without_time_for_all(running, tmp_path):
    content = tiny(protocol={"warmup": 1, "repeats": 2, "seeds": [42], "interleave": True})
    slow = copy.deepcopy(content) | {"study": "slow", "protocol": {**content["protocol"], "repeats": 100_000}}
    summary = api.run(slow, content, results=tmp_path, budget="40s")
    assert on_disk(tmp_path, "slow") == {} and len(on_disk(tmp_path, "tiny")) == 2
    assert "2 are left" in summary.left and "give --budget" in summary.left


def test_the_command_ends_in_time(tmp_path):
    """Minutes of work, 24 s for everything: import of the libraries, measuring, table.

    A record says that the import takes 4 s: where nothing is known, 20 s are assumed, and such a run would not begin.
    """
    content = tiny(vary={"steps": list(range(1, 40))}, protocol={"warmup": 0, "repeats": 20, "seeds": [42]})
    one = measured(helpers.study(content).trials[-1], latency=0.1)
    timing = {**one.raw["timing"], "import_s": 4.0}
    record.write(tmp_path, record.make(one.trial, "ok", timing=timing, environment=one.environment))
    path = helpers.file(tmp_path / "study.yaml", content)
    command = [sys.executable, "-m", "mic2e_bench", "run", str(path), "--results", str(tmp_path), "--budget", "24s"]
    begin = time.monotonic()
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert time.monotonic() - begin < 26
    assert ended.returncode == 0, ended.stderr
    last = ended.stdout.splitlines()[-1]
    assert last.startswith("budget of 24 s used up: ") and " of 39 trials are measured; " in last
    assert helpers.whole(tmp_path)
