"""Pools: every request answered exactly once, whoever dies; the simulation against the formulas and the real pool."""

import asyncio
import os
import signal

import numpy as np
import pytest

from mic2e_bench import statistics
from mic2e_bench.errors import BadInput
from mic2e_bench.tools import cluster
from mic2e_bench.tools.throughput import arrivals, generator, study
from mic2e_bench.tools.throughput.kinds import pool as kind
from mic2e_bench.tools.throughput.pool import formulas, simulated
from mic2e_bench.tools.throughput.pool.policies import POLICIES
from mic2e_bench.tools.throughput.pool.pool import MOST_ATTEMPTS, Died, Pool
from mic2e_bench.tools.throughput.pool.workers import Actor, Idle, RayWorker
from mic2e_bench.tools.throughput.requests import Request


class Mortal:
    """A worker that takes ``service_s``, and dies of the requests that it is told to."""

    def __init__(self, name, log, dies_of=(), service_s=0.002, is_last=False):
        self.name, self.log, self.dies_of, self.service_s, self.is_last = name, log, dies_of, service_s, is_last

    async def call(self, request):
        await asyncio.sleep(self.service_s if request.seed < 1000 else 60.0)
        if request.index in self.dies_of:
            raise Died("killed")
        if request.seed < 0:
            raise ValueError("no such seed")
        self.log.append((request.index, self.name))
        return {"service_s": self.service_s, "digest": str(request.seed)}

    async def replaced(self):
        if self.is_last:
            raise MemoryError("no room for another")
        return Mortal(f"{self.name}'", self.log, [index for index in self.dies_of if index == 99])


def served(policy, count=12, dies_of=(), seeds=None, workers=2, is_last=False):
    """The answers to requests that all arrive at once, and who worked on what."""
    log = []

    async def work():
        clock = generator.Clock()
        made = [Mortal(str(number), log, dies_of, is_last=is_last) for number in range(workers)]
        pool = Pool(made, POLICIES[policy](0), clock, timeout_s=0.1)
        numbers = seeds or range(count)
        requests = [Request(index, 0.0, seed) for index, seed in enumerate(numbers)]
        answers = await generator.open_loop(requests, pool.send, clock)
        await pool.settled()
        return answers, pool

    answers, pool = generator.run(work())
    return answers, log, pool


@pytest.mark.parametrize("policy", POLICIES)
def test_every_request_is_answered_once(policy):
    answers, log, _ = served(policy)
    assert [answer.digest for answer in answers] == [str(seed) for seed in range(12)]
    assert sorted(index for index, _ in log) == list(range(12))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_worker_that_dies_is_replaced_and_its_request_is_answered(policy):
    answers, log, pool = served(policy, dies_of=(3, 8))
    assert [answer.status for answer in answers] == ["ok"] * 12
    assert sorted(index for index, _ in log) == list(range(12))
    assert pool.replaced >= 1
    assert answers[3].latency_s > answers[3].service_s


def test_a_request_that_kills_every_worker_is_given_up_and_the_others_are_answered():
    answers, _, pool = served("first_free", count=100, dies_of=(99,))
    assert answers[99].status == "error" and f"died {MOST_ATTEMPTS} times" in answers[99].reason
    assert {answer.status for answer in answers[:99]} == {"ok"}
    assert pool.replaced == MOST_ATTEMPTS


def test_a_request_that_fails_is_its_own_failure():
    answers, _, pool = served("least_busy", seeds=[1, -1, 2])
    assert [answer.status for answer in answers] == ["ok", "error", "ok"]
    assert "no such seed" in answers[1].reason and pool.replaced == 0


@pytest.mark.parametrize("policy", POLICIES)
def test_a_worker_that_hangs_is_replaced_and_its_request_is_a_timeout(policy):
    answers, log, pool = served(policy, seeds=[1, 2, 1000, 4, 5, 6])
    assert [answer.status for answer in answers] == ["ok", "ok", "timeout", "ok", "ok", "ok"]
    assert sorted(index for index, _ in log) == [0, 1, 3, 4, 5] and pool.replaced == 1


@pytest.mark.parametrize("policy", POLICIES)
def test_where_no_worker_can_be_replaced_the_others_serve_and_the_last_leaves_every_request_answered(policy):
    answers, log, pool = served(policy, dies_of=(3,), workers=3, is_last=True)
    assert len(answers) == 12 and not pool.workers and "no room for another" in pool.lost[0]
    assert sorted(index for index, _ in log) == [answer.index for answer in answers if answer.status == "ok"]
    failed = [answer for answer in answers if answer.status != "ok"]
    assert answers[3] in failed and all("died" in one.reason or "no worker is left" in one.reason for one in failed)


def test_policies_choose_as_they_say():
    assert POLICIES["least_busy"](0)([2, 0, 1]) == 1
    turns = POLICIES["round_robin"](0)
    assert [turns([0, 0, 9]) for _ in range(4)] == [0, 1, 2, 0]
    drawn = POLICIES["random"](1)
    assert {drawn([5, 0]) for _ in range(50)} == {0, 1}
    assert POLICIES["first_free"](0)([0, 0]) is None


@pytest.mark.parametrize(
    "workers, load, is_constant", [(1, 0.5, False), (4, 0.8, False), (16, 0.9, False), (1, 0.7, True)]
)
def test_the_simulation_agrees_with_the_formulas(workers, load, is_constant):
    waits = []
    for run in range(12):
        due = arrivals.poisson(workers * load, 4000, run)
        draw = np.random.default_rng(1000 + run)
        service = np.ones(4000) if is_constant else draw.exponential(1.0, 4000)
        waits.append(simulated.waiting_s(due, service, workers, POLICIES["first_free"](run))[800:].mean())
    expected = formulas.md_1(load) if is_constant else formulas.mm_c(workers, load)
    low, high = statistics.paired(waits)[1]
    assert low <= expected <= high


def test_the_shared_queue_waits_least():
    def worst(policy, run):
        draw = np.random.default_rng(run)
        service, due = draw.lognormal(-0.3, 0.8, 4000), arrivals.poisson(8 * 0.8, 4000, run)
        return np.quantile(simulated.waiting_s(due, service, 8, POLICIES[policy](run)) + service, 0.99)

    for policy in ("least_busy", "round_robin", "random"):
        low, _ = statistics.paired([np.log(worst(policy, run) / worst("first_free", run)) for run in range(6)])[1]
        assert low > 0


def test_bursts_and_traces_have_their_rate(tmp_path):
    assert np.mean(np.diff(arrivals.bursts(10.0, 6000, 4, 1)) == 0) == pytest.approx(0.75, abs=0.01)
    trace = tmp_path / "trace.txt"
    trace.write_text("0.5\n1.0\n1.0\n3.0\n")
    kind = arrivals.check({"trace": str(trace)}, "here")
    found = arrivals.times(kind, 2.0, 8, 0)
    assert len(found) == 8 and found[-1] == pytest.approx(4.0) and found[1] == found[2]


SERVED = {"study": "p", "kind": "pool", "pipeline": "objectclear", "inputs": {"source": "bundled", "limit": 1}}


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"clients": [0]}, "pool: clients: 0 is not a whole number from 1"),
        ({"images": ["two"]}, "pool: images: 'two' is not a whole number from 1"),
        ({"simulated": {"service": "normal"}}, "Known: constant, exponential, measured"),
        ({"simulated": [1]}, "simulated: write a mapping"),
        ({"workers": [0]}, "pool: workers: 0 is not a whole number from 1"),
        ({"policies": ["least_bussy"]}, "Did you mean 'least_busy'?"),
        ({"load": [1.0]}, "is not a share above 0 and below 1"),
        ({"arrivals": "poison"}, "is not poisson, {bursts: SIZE} or {trace: FILE}"),
        ({"arrivals": {"trace": "nowhere.txt"}}, "no such file"),
        ({"simulated": {"worker": [1]}}, "Did you mean 'workers'?"),
        ({"runs": 0}, "pool: runs: 0"),
    ],
)
def test_bad_input(asked, words):
    with pytest.raises(BadInput) as error:
        study.resolve({**SERVED, "pool": asked})
    assert words in str(error.value)


@pytest.mark.parametrize("line", ["soon", "nan", "-1", "inf"])
def test_a_trace_that_is_none(tmp_path, line):
    trace = tmp_path / "trace.txt"
    trace.write_text(f"1.0\n{line}\n")
    with pytest.raises(BadInput, match="line 2"):
        arrivals.check({"trace": str(trace)}, "here")


@pytest.mark.parametrize(
    "address, words",
    [("127.0.0.1:9", "no cluster answers there"), ("nowhere", "write host:port"), ("127.0.0.1:x", "write host:port")],
)
def test_an_address_with_no_cluster(address, words):
    with pytest.raises(BadInput, match=words), cluster.connected(1, "cpu", address):
        pass


def test_without_the_extra_the_line_says_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    monkeypatch.setitem(__import__("sys").modules, "simpy", None)
    for imported in (cluster.imported, simulated.imported):
        with pytest.raises(BadInput, match=r"pip install '\.\[throughput\]'"):
            imported()


def test_on_ray_a_killed_worker_is_replaced_and_nothing_is_lost_or_twice():
    """Real processes: two workers that serve, one of which is killed (with pipelines: the benchmark ``pool``)."""
    requests = [Request(index, 0.02 * index, seed=index) for index in range(40)]

    async def work(options):
        workers = [RayWorker(f"worker {number}", Idle, 0.02, options) for number in (1, 2)]
        seen = [(await worker.loaded())["seen"] for worker in workers]
        clock = generator.Clock()
        pool = Pool(workers, POLICIES["least_busy"](0), clock)

        async def kill():
            await asyncio.sleep(0.3)
            os.kill(seen[0]["pid"], signal.SIGKILL)

        answers, _ = await asyncio.gather(generator.open_loop(requests, pool.send, clock), kill())
        return seen, answers, pool.replaced

    with cluster.connected(2, "cpu") as options:
        seen, answers, replaced = generator.run(work(options))
    assert [answer.index for answer in answers] == list(range(40))
    assert {answer.status for answer in answers} == {"ok"} and replaced == 1
    assert len({one["pid"] for one in seen}) == 2 and {one["gpus_seen"] for one in seen} == {0}


def test_more_workers_than_processors():
    with pytest.raises(BadInput, match="10000 workers need a processor each"), cluster.connected(10_000, "cpu"):
        pass


def test_what_fails_in_a_worker_comes_back_as_data():
    assert Actor(None).load()["status"] == "error" and "AttributeError" in Actor(None).call(1, 1)["reason"]


def test_a_pool_that_only_simulates_has_one_point():
    asked = {"simulated": {"workers": [2], "runs": 1}}
    assert [point.label for point in kind.points(asked, None, "here")] == ["simulated"]
