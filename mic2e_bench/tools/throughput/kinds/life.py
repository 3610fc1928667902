"""A worker's life: what its memory and its latency do over hundreds of calls, and what a restart costs.

::

    life:
      calls: 200
      restart_after: [1, 10, 100, never]     # calls, after which a new process loads the pipeline
      cold: 3                                # restarts by a new interpreter that finds nothing in the page cache
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mic2e_bench.errors import BadInput
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.trial import Trial
from mic2e_bench.run import failures
from mic2e_bench.tools.throughput import life_told, read
from mic2e_bench.tools.throughput.kind import Figure, Job, Kind, Point
from mic2e_bench.tools.throughput.pipeline import in_force
from mic2e_bench.tools.throughput.record import ThroughputRecord
from mic2e_bench.tools.throughput.serving import Server, fresh_server, without_warm_up
from mic2e_bench.units import whole

DEFAULTS = {"calls": 200, "restart_after": [1, 10, 100, "never"], "cold": 3}
NEVER = "never"
MOST_DEATHS = 3  # of workers that nobody ended


def points(asked: Mapping[str, Any], study: Study, where: str) -> list[Point]:
    """A point for each rule of restarting, and one for cold restarts."""
    read.keys(asked, DEFAULTS, where)
    given = {**DEFAULTS, **asked}
    calls = whole(given["calls"], 2, 1_000_000, f"{where}: calls")
    if "restart_after" not in asked:
        given["restart_after"] = [after for after in DEFAULTS["restart_after"] if after == NEVER or after < calls]
    found = []
    for after in read.several(given["restart_after"], f"{where}: restart_after"):
        if after != NEVER:
            whole(after, 1, 1_000_000, f"{where}: restart_after", f" or '{NEVER}'")
        if after != NEVER and after >= calls:
            raise BadInput(
                f"{where}: restart_after: {after} never comes in {calls} calls: write {NEVER}, or more calls."
            )
        label = "never restarted" if after == NEVER else f"restarted after {after}"
        found.append(Point(label, {"restart_after": after, "calls": calls}))
    if cold := whole(given["cold"], 0, 1000, f"{where}: cold"):
        found.append(Point("cold restarts", {"restart_after": 1, "calls": cold, "cold": True}))
    return found


def measure(point: Point, job: Job) -> dict[str, Any]:
    """Call after call; each one's latency is what its user waits, restarts and workers that died before it included."""
    life = _Life(point.asked, job)
    try:
        for number in range(point.asked["calls"]):
            job.tell(f"{point.asked['calls']} calls", number / point.asked["calls"])
            life.answer(number)
    except failures.Told as error:
        if not life.calls:
            raise
        life.ending = {"status": error.status, "reason": str(error)}  # what was measured before it is kept
    finally:
        life.end()
    columns = {name: [call[name] for call in life.calls] for name in life.calls[0] if name != "digest"}
    run = {**columns, "starts": life.starts, "died": life.died}
    return {"runs": [run], "receipts": life.receipts, **life.ending}


class _Life:
    """A worker and those that follow it."""

    def __init__(self, asked: Mapping[str, Any], job: Job) -> None:
        self.after, self.log, self.seed = asked["restart_after"], job.log, job.trial.protocol["seeds"][0]
        is_cold = asked.get("cold", False)
        self.begin = fresh_server if is_cold else Server
        self.trial = without_warm_up(_cold(job.trial) if is_cold else job.trial)
        self.calls: list[dict[str, Any]] = []
        self.starts: list[dict[str, Any]] = []
        self.died: list[str] = []
        self.receipts: dict[str, Any] = {}
        self.ending: dict[str, str] = {}
        self.server: Server | None = None
        self.age = 0

    def answer(self, number: int) -> None:
        """One call, by another worker where one died; raises ``failures.Told`` where too many did."""
        start = time.perf_counter()
        while True:
            try:
                if self.server is None or self.age == self.after:
                    self._restart(number)
                answer = self.server.call(self.seed + number)
                break
            except failures.Told as error:
                self.died.append(f"call {number + 1}: {error.status}: {error}")
                self.end()
                if not self.calls or len(self.died) > MOST_DEATHS:
                    raise
        self.calls.append({"latency_s": time.perf_counter() - start, **answer})
        self.age += 1
        if self.age == 1:
            self._look()

    def _restart(self, number: int) -> None:
        ended_s = self.server.close() if self.server else 0.0
        self.server, self.age = self.begin(self.trial, self.log), 0
        self.starts.append({"at": number, "end_s": ended_s, **self.server.ready()})

    def _look(self) -> None:
        """What is in force in this worker; of several, the first that is not as asked is told."""
        try:
            self.receipts = self.server.asked("receipts")
        except failures.Told:
            return  # it died: the next call says so
        seen = in_force(self.receipts)
        if seen["status"] != "ok" and not self.ending:
            self.ending = seen

    def end(self) -> None:
        if self.server:
            self.server.kill()
        self.server = None


def _cold(trial: Trial) -> Trial:
    return replace(trial, settings={**trial.settings, "page_cache": "cold"})


def text(records: Sequence[ThroughputRecord]) -> str:
    """See ``life_told``."""
    return life_told.text(records)


def figures(records: Sequence[ThroughputRecord]) -> list[Figure]:
    """What the memory of a kept worker does over 100 calls."""
    return [life_told.growth(one) for one in records if one.runs and one.asked["restart_after"] == NEVER]


LIFE = Kind(
    name="life",
    about="one worker over hundreds of calls: does it leak or fragment, and what does a restart cost?",
    points=points,
    measure=measure,
    text=text,
    figures=figures,
)
