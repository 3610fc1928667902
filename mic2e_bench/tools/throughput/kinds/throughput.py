"""Batches, and several images in flight: which gives the most images a minute, and its price in waiting and pictures.

::

    throughput:
      batches: [1, 2, 4, 8]       # images of one call
      in_flight: [1, 2]           # processes that share the device, a call each
      calls: 20                   # of each, in every run
      runs: 6                     # fresh builds, in which all take turns
      max_latency: 2s             # p95 of what is to be recommended
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mic2e_bench import units
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.trial import Trial
from mic2e_bench.run import failures, outcomes
from mic2e_bench.tools.throughput import batches_told, pictures, read
from mic2e_bench.tools.throughput.kind import Job, Kind, Point
from mic2e_bench.tools.throughput.pipeline import in_force
from mic2e_bench.tools.throughput.record import ThroughputRecord
from mic2e_bench.tools.throughput.serving import Server, first_free, with_share
from mic2e_bench.units import whole

DEFAULTS = {"batches": [1, 2, 4, 8], "in_flight": [1, 2], "calls": 20, "runs": 6, "max_latency": None}


def points(asked: Mapping[str, Any], study: Study, where: str) -> list[Point]:
    """One point: batches and processes take turns."""
    read.keys(asked, DEFAULTS, where)
    given = {**DEFAULTS, **asked}
    limit = given["max_latency"]
    found = {
        "batches": sorted(read.wholes(given["batches"], 1, 64, f"{where}: batches")),
        "in_flight": sorted(read.wholes(given["in_flight"], 1, 64, f"{where}: in_flight")),
        "calls": whole(given["calls"], 2, 100_000, f"{where}: calls"),
        "runs": whole(given["runs"], 1, 1000, f"{where}: runs"),
        "max_latency_s": None if limit is None else units.seconds(limit, f"{where}: max_latency"),
    }
    return [Point("batches and images in flight", found)]


def measure(point: Point, job: Job) -> dict[str, Any]:
    """Run after run, each in fresh processes: the batches in random order, then the processes side by side."""
    asked, turns = point.asked, _Turns(job, point.asked)
    crowds = [count for count in asked["in_flight"] if count > 1 or 1 not in asked["batches"]]
    runs: list[dict[str, Any]] = []
    for run in range(asked["runs"]):
        job.tell(f"run {run + 1}/{asked['runs']}: batches", run / asked["runs"])
        runs += turns.batches(run)
        for count in turns.order.sample(crowds, len(crowds)):
            job.tell(f"run {run + 1}/{asked['runs']}: {count} in flight", (run + 0.5) / asked["runs"])
            runs.append(turns.in_flight(count, run))
    found = {"runs": runs, "prices": turns.prices, "died": turns.died}
    if any(one["status"] == "ok" for one in runs):
        return found
    return {**found, "status": runs[0]["status"], "reason": runs[0]["reason"]}


class _Turns:
    """What the runs of a study have in common, and what each of them does."""

    def __init__(self, job: Job, asked: Mapping[str, Any]) -> None:
        self.job, self.calls, self.seed = job, asked["calls"], job.trial.protocol["seeds"][0]
        self.trials = [_of_batch(job.trial, batch) for batch in asked["batches"]]
        self.order = random.Random(job.study.name)
        self.too_many: dict[str, int] = {}  # what ran out of memory, and at how many
        self.singles: dict[int, Any] = {}  # the picture of each seed, made alone
        self.prices: dict[str, Any] = {}
        self.seen: dict[str, dict[str, str]] = {}
        self.died: list[str] = []
        self.server: Server | None = None

    def batches(self, run: int) -> list[dict[str, Any]]:
        """One build that makes calls of every batch."""
        found = []
        try:
            for index in self.order.sample(range(len(self.trials)), len(self.trials)):
                batch = self.trials[index].settings["batch"]
                row = {"batch": batch, "in_flight": 1, "run": run}
                found.append(self._tried(row, "batch", batch, functools.partial(self._batch, index)))
        finally:
            self._end()
        return found

    def _batch(self, index: int) -> dict[str, Any]:
        batch = self.trials[index].settings["batch"]
        if self.server is None:
            self.server = Server(self.trials[0], self.job.log, self.trials[1:])
            self.server.ready()
        if not self.singles and len(self.trials) > 1:
            self.singles = pictures.alone(self.server, self.trials, self.seed)
        self.server.asked("be", index)
        self.server.asked("warm_up")
        made = _calls([self.server], self.calls, self.seed)
        if self.singles and batch > 1 and str(batch) not in self.prices:
            self.prices[str(batch)] = pictures.price(self.server, self.singles, self.seed)
        return {**self._in_force(self.server, f"batch {batch}"), **made}

    def in_flight(self, count: int, run: int) -> dict[str, Any]:
        """So many processes side by side, each with a call of its own all the time."""
        row = {"batch": self.job.trial.settings.get("batch", 1), "in_flight": count, "run": run}
        return self._tried(row, "in_flight", count, functools.partial(self._crowd, count))

    def _crowd(self, count: int) -> dict[str, Any]:
        trial, servers = with_share(self.job.trial, count), []
        try:
            for number in range(count):
                servers.append(Server(trial, self.job.log.with_suffix(f".{number}.log")))
            for server in servers:
                server.ready()
            made = _calls(servers, self.calls, self.seed)
            return {**self._in_force(servers[0], f"{count} in flight"), **made}
        finally:
            for server in servers:
                server.kill()

    def _in_force(self, server: Server, name: str) -> dict[str, str]:
        """Whether what was asked is in force, looked at once."""
        if name not in self.seen:
            self.seen[name] = in_force(server.asked("receipts"))
        return self.seen[name]

    def _tried(self, row: dict[str, Any], what: str, amount: int, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The row of a run. Memory that runs out ends all that is larger; a process that dies is replaced once."""
        if amount >= self.too_many.get(what, amount + 1):
            reason = f"{what} {self.too_many[what]} ran out of memory"
            return {**row, "status": "skipped", "reason": reason}
        for is_last in (False, True):
            try:
                return {**row, **work()}
            except failures.Told as error:
                self._end()
                if error.status == "oom":
                    self.too_many[what] = min(amount, self.too_many.get(what, amount))
                elif not is_last and error.status in outcomes.RETRIED:
                    self.died.append(f"run {row['run'] + 1}, {what} {amount}: {error.status}: {error}")
                    continue
                return {**row, "status": error.status, "reason": str(error)}
        raise AssertionError("the last try returns")

    def _end(self) -> None:
        if self.server:
            self.server.kill()
        self.server = None


def _of_batch(trial: Trial, batch: int) -> Trial:
    return replace(trial, label=f"batch {batch}", settings={**trial.settings, "batch": batch}, is_baseline=False)


def _calls(servers: Sequence[Server], calls: int, seed: int) -> dict[str, Any]:
    """Calls that follow each other in every process: how long each took, how long all, and the memory that was held."""
    latency_s, started, held, left = [], {}, {}, list(range(calls))
    start = time.perf_counter()

    def ask(server: Server) -> None:
        started[id(server)] = time.perf_counter()
        server.ask("call", seed + left.pop(0))

    for server in servers[:calls]:
        ask(server)
    while len(latency_s) < calls:
        for server in first_free([one for one in servers if id(one) in started], servers[0].timeout_s) or servers[:1]:
            answer = server.answer()
            latency_s.append(time.perf_counter() - started.pop(id(server)))
            held[id(server)] = max(answer.get("reserved_bytes") or answer["rss_bytes"], held.get(id(server), 0))
            if left:
                ask(server)
    return {"latency_s": latency_s, "wall_s": time.perf_counter() - start, "held_bytes": sum(held.values())}


def text(records: Sequence[ThroughputRecord]) -> str:
    """See ``batches_told``."""
    return "\n".join(batches_told.text(one) for one in records if one.runs)


THROUGHPUT = Kind(
    name="throughput",
    about="batches and several images in flight: images a minute, latency, the knee, the price in pictures",
    points=points,
    measure=measure,
    text=text,
)
