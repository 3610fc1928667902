"""Batches, worker lives and several models: real processes that are killed, and what their figures say."""

import os
import signal

import numpy as np
import pytest
from helpers import photos

from mic2e_bench.errors import BadInput
from mic2e_bench.run import failures
from mic2e_bench.tools.throughput import batches_told, life_told, measure, pictures, serving, study
from mic2e_bench.tools.throughput.kinds import life, throughput
from mic2e_bench.tools.throughput.record import ThroughputRecord

SERVED = {
    "study": "served",
    "pipeline": "objectclear",
    "baseline": {"steps": 1, "resolution": 64, "guidance": 1.0, "threads": 1},
    "protocol": {"warmup": 0},
}


def resolved(kind, asked):
    return study.resolve({**SERVED, "inputs": photos(), "kind": kind, kind: asked})


def measured(kind, asked, results):
    found = resolved(kind, asked)
    return found, measure.studies([found], results)[0]


def test_batches_are_measured_in_turns_with_their_price(tmp_path):
    found, (one,) = measured("throughput", {"batches": [1, 2], "in_flight": [1, 2], "calls": 2, "runs": 1}, tmp_path)
    assert one.status == "ok"
    assert {(run["batch"], run["in_flight"]) for run in one.runs} == {(1, 1), (2, 1), (1, 2)}
    assert all(len(run["latency_s"]) == 2 and run["held_bytes"] > 0 for run in one.runs)
    assert one.raw["prices"]["2"]["images"] == 2
    text = found.kind.text([one])
    assert "images/min" in text and "without a limit: batch" in text


class Small(serving.Server):
    """A server without a process, that has memory for batches of one."""

    pipe, timeout_s = None, 1

    def __init__(self, trial, log, others=()):
        self.trials, self.batch = [trial, *others], trial.settings["batch"]

    def ready(self):
        return {}

    def ask(self, method, *given):
        if method == "be":
            self.batch = self.trials[given[0]].settings["batch"]

    def answer(self):
        if self.batch >= 2:
            raise failures.Told("oom", "no room for it")
        return {"service_s": 0.01, "digest": "d", "rss_bytes": 1}

    def asked(self, method, *given):
        self.ask(method, *given)
        if method == "receipts":
            return {}
        return [] if method != "call" else self.answer()

    def kill(self):
        pass


def test_a_batch_without_memory_is_a_row_and_ends_the_larger_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(throughput, "Server", Small)
    monkeypatch.setattr(throughput, "first_free", lambda servers, timeout_s: servers)
    monkeypatch.setattr(pictures, "alone", lambda *args: {})
    asked = {"batches": [1, 2, 4], "in_flight": [1], "calls": 2, "runs": 2}
    _, (one,) = measured("throughput", asked, tmp_path)
    told = {(run["run"], run["batch"]): run["status"] for run in one.runs}
    assert told[1, 1] == "ok" and told[1, 2] in ("oom", "skipped") and told[1, 4] == "skipped"
    assert "no room for it" in batches_told.text(one)


class Mortal(Small):
    """A server that serves any batch; the first one dies at batch 2, and what it gives is not what was asked."""

    deaths = 0

    def answer(self):
        if self.batch == 2 and not Mortal.deaths:
            Mortal.deaths += 1
            raise failures.Told("error", "ended by SIGKILL")
        return {"service_s": 0.01, "digest": "d", "rss_bytes": 1}

    def asked(self, method, *given):
        if method == "receipts" and self.batch == 4:
            return {"batch": {"asked": 4, "seen": 1, "applied": False, "how": "", "reason": "asked 4, seen 1"}}
        return super().asked(method, *given)


def test_a_dead_process_is_replaced_and_what_is_not_in_force_is_not_credited(tmp_path, monkeypatch):
    monkeypatch.setattr(throughput, "Server", Mortal)
    monkeypatch.setattr(throughput, "first_free", lambda servers, timeout_s: servers)
    monkeypatch.setattr(pictures, "alone", lambda *args: {})
    asked = {"batches": [1, 2, 4], "in_flight": [1], "calls": 2, "runs": 6}
    _, (one,) = measured("throughput", asked, tmp_path)
    assert [run["status"] for run in one.runs if run["batch"] == 2] == ["ok"] * 6
    assert Mortal.deaths == 1 and "batch 2: error: ended by SIGKILL" in one.raw["died"][0]
    text = batches_told.text(one)
    assert "not_applied: batch 4: asked 4, seen 1" in text and "replaced" in text
    assert "without a limit: batch 4" not in text


def run(batch, per_minute, count=20, number=0, in_flight=1):
    wall = 60 * batch * count / per_minute
    latency = [wall / count] * count
    return {"batch": batch, "in_flight": in_flight, "run": number, "status": "ok", "wall_s": wall, "latency_s": latency}


def told(rates, limit=None):
    """What is said of batches with these images a minute in each of eight runs."""
    draw = np.random.default_rng(0)
    runs = [
        run(b, rate * draw.normal(1, 0.01), number=n) | {"held_bytes": 1} for b, rate in rates.items() for n in range(8)
    ]
    content = {"kind": "throughput", "id": "0" * 16, "study": "s", "label": "l", "status": "ok", "reason": ""}
    content |= {"asked": {"max_latency_s": limit}, "environment": {}, "runs": runs}
    return ThroughputRecord.of(content | {"trial": {"pipeline": "objectclear", "model": {}, "settings": {}}})


def test_the_knee_is_the_smallest_that_cannot_be_told_from_the_best():
    flat = told({1: 100, 2: 180, 4: 250, 8: 250.5})
    assert batches_told.knee(batches_told.conditions(flat.runs)) == (4, 1)
    rising = told({1: 100, 2: 180, 4: 250, 8: 400})
    assert batches_told.knee(batches_told.conditions(rising.runs)) == (8, 1)
    assert any("<- knee" in line and line.startswith("8") for line in batches_told.text(rising).splitlines())


def test_the_best_within_a_limit_of_latency():
    text = batches_told.text(told({1: 100, 2: 180, 4: 250}, limit=0.7))
    assert "within 0.700 s (p95): batch 2" in text and "without a limit: batch 4" in text
    assert "nothing that was measured" in batches_told.text(told({1: 100}, limit=0.1))


@pytest.mark.parametrize("step, words", [(0, "no growth"), (4096, "grows"), (-4096, "shrinks")])
def test_a_leak_is_what_its_interval_says(step, words):
    draw = np.random.default_rng(1)
    held = 1e9 + step * np.arange(200) + 500 * draw.standard_normal(200)
    figure = life_told.slope(held.tolist())
    assert figure.interval[0] <= step <= figure.interval[1]
    assert words in life_told.leak_said(figure, "memory")


def test_few_calls_have_no_slope():
    assert life_told.slope([1.0] * 19) == (None, None)
    assert "too few" in life_told.leak_said(life_told.slope([1.0] * 19), "memory")


def test_a_worker_is_restarted_when_it_is_due_and_when_it_dies(tmp_path, monkeypatch):
    plain, killed = serving.Server.call, []

    def call(self, seed):
        if not killed and seed == SEED + 3:
            killed.append(os.kill(self.process.pid, signal.SIGKILL))
        return plain(self, seed)

    monkeypatch.setattr(serving.Server, "call", call)
    found, records = measured("life", {"calls": 5, "restart_after": [2, "never"], "cold": 0}, tmp_path)
    due, kept = records
    assert [len(one.runs[0]["latency_s"]) for one in records] == [5, 5]
    assert len(due.runs[0]["died"]) == 1 and "SIGKILL" in due.runs[0]["died"][0]
    assert [start["at"] for start in due.runs[0]["starts"]] == [0, 2, 3] and kept.runs[0]["died"] == []
    assert due.runs[0]["latency_s"][2] > due.runs[0]["service_s"][2]
    text = found.kind.text(records)
    assert "a worker died: call 4" in text and "never restarted: memory: too few calls" in text


SEED = 42


def test_what_was_measured_before_the_last_death_is_kept(tmp_path, monkeypatch):
    plain = serving.Server.call

    def call(self, seed):
        if seed > SEED:
            raise failures.Told("error", "killed")
        return plain(self, seed)

    monkeypatch.setattr(serving.Server, "call", call)
    found, (one,) = measured("life", {"calls": 3, "restart_after": ["never"], "cold": 0}, tmp_path)
    assert one.status == "error" and len(one.runs[0]["latency_s"]) == 1 and len(one.runs[0]["died"]) == 4
    assert "a worker died: call 2: error: killed" in found.kind.text([one])
    (figure,) = life.figures([one])
    assert figure.value is None and figure.why


def test_what_dies_again_and_again_is_a_failure(tmp_path, monkeypatch):
    def call(self, seed):
        raise failures.Told("error", "killed")

    monkeypatch.setattr(serving.Server, "call", call)
    monkeypatch.setattr(serving.Server, "ready", lambda self: {"start_s": 0.0})
    _, (one,) = measured("life", {"calls": 3, "restart_after": ["never"], "cold": 0}, tmp_path)
    assert (one.status, one.reason) == ("error", "killed")


def test_models_are_kept_or_ended(tmp_path):
    asked = {"others": {"sam3": {"threads": 1}}, "keep": ["all", 1], "requests": 4}
    found, (every, few) = measured("models", asked, tmp_path)
    assert [every.status, few.status] == ["ok", "ok"], (every.reason, few.reason)
    wanted = few.runs[0]["pipeline"]
    assert every.runs[0]["was_loaded"] == [True] * 4
    changes = [False, *(one == other for one, other in zip(wanted[1:], wanted, strict=False))]
    assert few.runs[0]["was_loaded"] == changes
    assert max(every.runs[0]["held_bytes"]) > max(few.runs[0]["held_bytes"])
    assert "to keep all takes" in found.kind.text([every, few])


@pytest.mark.parametrize(
    "kind, asked, words",
    [
        ("throughput", {"batches": [0]}, "batches: 0 is not a whole number from 1"),
        ("throughput", {"max_latency": "2"}, "has no unit"),
        ("throughput", {"batch": [1]}, "Did you mean 'batches'?"),
        ("life", {"restart_after": ["nevr"]}, "or 'never'"),
        ("life", {"calls": 10, "restart_after": [10]}, "never comes in 10 calls"),
        ("models", {}, "others: write PIPELINE"),
        ("models", {"others": {"objectclear": {}}}, "unknown other pipeline 'objectclear'"),
        ("models", {"others": {"sam3": {"stepz": 1}}}, "others: sam3"),
        ("models", {"others": {"sam3": {}}, "keep": [2]}, "keep: 2 is not a whole number from 1 to 1"),
    ],
)
def test_bad_input(kind, asked, words):
    with pytest.raises(BadInput) as error:
        resolved(kind, asked)
    assert words in str(error.value)


def test_a_growth_of_memory_is_told_for_a_hundred_calls():
    content = {
        "kind": "life",
        "id": "0" * 16,
        "study": "s",
        "label": "l",
        "status": "ok",
        "reason": "",
        "environment": {},
    }
    content |= {"trial": {"pipeline": "objectclear", "model": {}, "settings": {}}, "asked": {"restart_after": "never"}}
    held = (1e9 + 1e6 * np.arange(200)).tolist()
    one = ThroughputRecord.of({**content, "runs": [{"rss_bytes": held, "starts": [{"at": 0}]}]})
    (figure,) = life.figures([one])
    assert figure.of == "growth" and 1.05 < figure.value < 1.1 and figure.ci95[0] > 1
