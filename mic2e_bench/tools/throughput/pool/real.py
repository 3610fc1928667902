"""A pool on Ray, measured: closed loops that keep every worker busy, and open loops at shares of what that gave."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mic2e_bench.catalog.toggles import wait_policy
from mic2e_bench.machine import conditions, environment
from mic2e_bench.plan.trial import Trial
from mic2e_bench.run import failures
from mic2e_bench.tools import cluster
from mic2e_bench.tools.throughput import arrivals, generator
from mic2e_bench.tools.throughput.kind import Job
from mic2e_bench.tools.throughput.pipeline import in_force
from mic2e_bench.tools.throughput.pool.policies import POLICIES
from mic2e_bench.tools.throughput.pool.pool import Pool
from mic2e_bench.tools.throughput.pool.workers import Actor, RayWorker
from mic2e_bench.tools.throughput.requests import Answer, Request
from mic2e_bench.tools.throughput.serving import with_share

KEPT = ("intended_s", "sent_s", "ended_s", "service_s")  # of every answer
CLOSED = "first_free"  # of so many clients as workers each finds one free, whatever the policy


def measure(asked: Mapping[str, Any], job: Job) -> dict[str, Any]:
    """The runs of every number of workers, policy, load and number of clients, in turns in one pool."""
    most, settings = max(asked["workers"]), job.trial.settings
    place = f"{job.study.name}: pool: workers"
    with (
        wait_policy.put(wait_policy.of(settings)),
        cluster.connected(most, settings["device"], job.address, place) as options,
    ):
        trial = with_share(job.trial, most, options["num_cpus"])
        workers = [RayWorker(f"worker {number}", Actor, trial, options) for number in range(1, most + 1)]
        found = generator.run(_Measuring(workers, asked, trial, job).measured())
    return {**found, "share": {**options, "threads": trial.settings["threads"]}}


class _Measuring:
    """A measurement on its way: its workers, which change where one dies, and what it has found."""

    def __init__(self, workers: list[RayWorker], asked: Mapping[str, Any], trial: Trial, job: Job) -> None:
        self.workers, self.asked, self.trial, self.job = workers, asked, trial, job
        self.runs: list[dict[str, Any]] = []
        self.digests: dict[tuple[int, int], set[str]] = {}  # of each seed and number of images

    async def measured(self) -> dict[str, Any]:
        self.job.tell("workers load", 0.0)
        loaded = await asyncio.gather(*(worker.loaded() for worker in self.workers))
        host = environment.here("cpu")["host"]
        pids = [one["seen"]["pid"] for one in loaded if one["seen"]["host"] == host]
        # the cluster's own start and end are not part of it; who serves here works for this process, also where it did
        # not start it (of a worker that is killed the time counts as somebody else's: Ray waits for none)
        watch = conditions.Watch(self.trial.settings["device"], pids)
        rates = await self._all_runs()
        here = watch.finish()
        self.job.tell("what is in force", 0.99)
        receipts = await asyncio.gather(*(worker.receipts() for worker in self.workers))
        several = sum(len(found) > 1 for found in self.digests.values())
        return {
            **_outcome(receipts, self.runs),
            "loaded": loaded,
            "receipts": receipts[0],
            "capacity_per_s": rates,
            "runs": self.runs,
            "seeds": len(self.digests),
            "seeds_differing": several,
            "environment": here,
        }

    async def _all_runs(self) -> dict[int, float]:
        """Fill ``runs``; returns what so many workers serve, in requests a second, that the loads are shares of."""
        asked, rates = self.asked, {}
        for count in asked["workers"]:
            self.job.tell(f"what {count} can serve", 0.02)
            made = await self._run({"workers": count, "clients": count, "policy": CLOSED}, -1)
            if made["failed"]:
                status, _, reason = made["failed"][0].partition(": ")
                raise failures.Told(status, reason)
            rates[count] = per_second(made["answers"])
        order, wanted = random.Random(self.job.study.name), conditions_of(asked)
        for run in range(asked["runs"]):
            for one in order.sample(wanted, len(wanted)):
                self.job.tell(f"run {run + 1}/{asked['runs']}", len(self.runs) / (asked["runs"] * len(wanted)))
                rate = rates[one["workers"]] * one["load"] if "load" in one else None
                self.runs.append(await self._run(one, run, rate))
        return rates

    async def _run(self, one: Mapping[str, Any], run: int, rate: float | None = None) -> dict[str, Any]:
        """One run of one condition, at a ``rate`` of arrivals a second, or as fast as its clients go on."""
        asked, count, first = self.asked, one["workers"], self.trial.protocol["seeds"][0]
        due = arrivals.times(asked["arrivals"], rate, asked["requests"], run) if rate else [0.0] * asked["requests"]
        sizes = sizes_of(asked, run)
        requests = [Request(index, at, first + index, sizes[index]) for index, at in enumerate(due)]
        clock = generator.Clock()
        timeout_s = self.trial.protocol["timeout_s"] * max(asked["images"])
        pool = Pool(self.workers[:count], POLICIES[one["policy"]](run), clock, timeout_s)
        if rate:
            answers = await generator.open_loop(requests, pool.send, clock)
        else:
            answers = await generator.closed_loop(requests, pool.send, clock, one["clients"])
        await pool.settled()
        if pool.lost:
            raise failures.Told("error", f"a worker died and could not be replaced: {pool.lost[0]}")
        self.workers[:count] = pool.workers
        for answer, size in zip(answers, sizes, strict=True):
            if answer.digest:
                self.digests.setdefault((answer.index, size), set()).add(answer.digest)
        failed = [f"{answer.status}: {answer.reason}" for answer in answers if answer.status != "ok"]
        late = {"late_p99_s": float(np.quantile(pool.late_s, 0.99))} if rate else {}
        parts = {"run": run, "rate_per_s": rate, "replaced": pool.replaced, "failed": failed, **late}
        return {**one, **parts, "answers": kept(answers, sizes)}


def conditions_of(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is run in turns: as many clients as workers, open loops of each load, and closed ones of more clients."""
    closed = [{"workers": count, "clients": count, "policy": CLOSED} for count in asked["workers"]]
    # one worker is the same whatever chooses it
    keys = [(count, policy) for count in asked["workers"] for policy in asked["policies"][: 1 if count == 1 else None]]
    opened = [{"workers": count, "policy": policy, "load": load} for count, policy in keys for load in asked["load"]]
    more = [(count, policy, clients) for count, policy in keys for clients in asked["clients"] if clients > count]
    queued = [{"workers": count, "clients": clients, "policy": policy} for count, policy, clients in more]
    return closed + opened + queued


def sizes_of(asked: Mapping[str, Any], run: int) -> list[int]:
    """How many images each request of a run is for: the same whatever the policy, the load and the workers."""
    return np.random.default_rng([run + 1, len(asked["images"])]).choice(asked["images"], asked["requests"]).tolist()


def kept(answers: Sequence[Answer], sizes: Sequence[int]) -> dict[str, list[Any]]:
    """What a record keeps of the answers that there were, a list a field: times, who gave them, how many images."""
    fine = [answer for answer in answers if answer.status == "ok"]
    found = {name: [getattr(answer, name) for answer in fine] for name in KEPT}
    found["images"] = [sizes[answer.index] for answer in fine]
    return {**found, "worker": [answer.worker.rpartition(" ")[2] for answer in fine]}


def per_second(answers: Mapping[str, Sequence[float]]) -> float:
    """Requests a second of a closed loop."""
    return len(answers["ended_s"]) / (max(answers["ended_s"]) - min(answers["intended_s"]))


def images_per_minute(answers: Mapping[str, Sequence[float]]) -> float:
    """Images a minute of a closed loop."""
    return 60 * per_second(answers) * float(np.mean(answers["images"]))


def _outcome(receipts: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """``status`` and ``reason`` where a setting was not in force in some worker, or a request failed."""
    for seen in map(in_force, receipts):
        if seen["status"] != "ok":
            return seen
    failed = [reason for run in runs for reason in run["failed"]]
    if failed:
        status, _, reason = failed[0].partition(": ")
        return {"status": status, "reason": f"{len(failed)} requests failed; the first: {reason}"}
    return {}
