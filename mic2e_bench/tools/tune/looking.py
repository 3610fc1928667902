"""Looks at points of a space: a ladder of protocols from one call to the study's own, and what each look takes."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic

import numpy as np

from mic2e_bench.plan.params import Study
from mic2e_bench.records import comparable
from mic2e_bench.records.record import Record
from mic2e_bench.tools.recommend.point import QUALITY
from mic2e_bench.tools.tune.measuring import Columns, Measuring
from mic2e_bench.tools.tune.race import Look
from mic2e_bench.tools.tune.room import Room
from mic2e_bench.tools.tune.space import GridPoint, Space

TOO_LARGE = ("oom", "too large")  # what the reasons of such looks begin with
SECOND_REPEATS = 3  # timed calls of the second rung, at most


def ladder(study: Study) -> tuple[Study, ...]:
    """The study under ever fuller protocols: one call; few inputs and repeats; its own. Those that differ."""
    count = len(study.baseline.inputs["items"])
    repeats = study.baseline.protocol["repeats"]
    few = min(repeats, SECOND_REPEATS) if isinstance(repeats, int) else SECOND_REPEATS
    found = [study]
    for number, inputs, calls in ((2, math.ceil(math.sqrt(count)), few), (1, 1, 1)):
        cheap = _under(study, inputs, calls, f"{study.name}-look{number}")
        if cheap.baseline.work < found[0].baseline.work:
            found.insert(0, cheap)
    return tuple(found)


def _under(study: Study, count: int, repeats: int, name: str) -> Study:
    base = study.baseline
    items = dict(itertools.islice(base.inputs["items"].items(), count))
    chosen = {**base.inputs, "items": items}
    if "order" in chosen:
        chosen["order"] = list(items)
    protocol = {key: value for key, value in base.protocol.items() if key not in ("interleave", "builds")}
    protocol |= {"seeds": base.protocol["seeds"][:1], "repeats": repeats}
    cheap = dataclasses.replace(base, study=name, inputs=chosen, protocol=protocol)
    return dataclasses.replace(study, name=name, baseline=cheap, trials=(cheap,))


class Looking:
    """What a search looks through (``proposals.Bench``): real measurements, those of one build in one process."""

    def __init__(
        self, studies: Sequence[Study], space: Space, results: Path, limits: dict[str, float], weights: Path | None
    ) -> None:
        self.space, self.rungs = space, len(studies)
        self.ladder = [Measuring(study, space, results, weights) for study in studies]
        baseline = self.ladder[0].baseline()
        self.columns, self.room = Columns.of(baseline), Room.of(baseline)
        self.names = self.columns.names
        self.limits = {QUALITY: 0.0, **limits} if QUALITY in self.names else dict(limits)
        worst = [self.limits.get(name, math.inf) for name in self.names]
        self.worst = np.array([-w if name == QUALITY and w != math.inf else w
                               for name, w in zip(self.names, worst, strict=True)])  # fmt: skip
        self._visit_s: dict[str, list[float]] = {}  # by build: what its visits took beside the calls and the scoring
        self._picture_s: list[float] = []  # to score one, by visit
        self._rate: list[tuple[float, float]] = []  # seconds of a trial's calls, and its work

    def build(self, point: GridPoint) -> str:
        return self.ladder[0].trial(point).build_key

    def why_not(self, point: GridPoint) -> str:
        """Why a point of the space is not to be looked at: less than it ran out of memory; else empty."""
        return self.room.why_larger(self.ladder[0].trial(point)) if self.room.too_large else ""

    def look(self, points: Sequence[GridPoint], rung: int) -> dict[GridPoint, Look]:
        """The looks at points, those of one build in one process; what is stored is not measured again."""
        measuring, begin = self.ladder[rung], monotonic()
        scored_s = measuring.scored_s
        reasons = {point: self.room.why_not(measuring.trial(point)) if rung == 0 else "" for point in points}
        looks = {point: Look(None, failed=reason) for point, reason in reasons.items() if reason}
        records = measuring.measure([point for point in points if point not in looks])
        comparable.require_one([measuring.read(measuring.study.baseline), *records.values()])
        scored_s = measuring.scored_s - scored_s
        self._learn(records, rung, monotonic() - begin - scored_s, scored_s)
        looks |= {point: self._look(point, found) for point, found in records.items()}
        for point, look in looks.items():
            self.remember(point, look)
        return looks

    def remember(self, point: GridPoint, look: Look) -> None:
        """What a first look said, of this run or an earlier one: what is larger than what is too large is left out."""
        if look.failed.startswith(TOO_LARGE):
            self.room.too_large.append(self.ladder[0].trial(point))

    def _look(self, point: GridPoint, found: Record) -> Look:
        one = self.columns.point(found) if found.status == "ok" else None
        if one is None or any(one.values.get(name) is None for name in self.names):
            wrong = comparable.unapplied(found)
            blamed = tuple(axis.name for axis in self.space.axes if axis.setting in wrong)
            reason = f"{found.status}: {found.reason or 'no value'}"
            return Look(None, (), reason, blamed, found.status == "error", found.id)
        costs = tuple(float(one.cost(name)) for name in self.names)
        return Look(costs, tuple(float(one.noise[name]) for name in self.names), record=found.id)

    def _learn(self, records: Mapping[GridPoint, Record], rung: int, wall_s: float, scored_s: float) -> None:
        """What visits take beside their calls: loading, compiling; shared evenly by the builds of this one."""
        calls, builds = 0.0, {self.build(point) for point in records}
        for point, one in records.items():
            if one.status == "ok" and one.calls_s:
                compiling = max(0.0, (one.first_call_s or 0.0) - (one.latency_s[0] if one.latency_s else 0.0))
                calls += one.calls_s - compiling
                self._rate.append((one.calls_s - compiling, self.ladder[rung].trial(point).work))
        if wall_s > 0.5 * calls:  # else the records were there already
            for build in builds:
                self._visit_s.setdefault(build, []).append(max(0.0, wall_s - calls) / len(builds))
            if calls:
                self._picture_s.append(scored_s / sum(len(one.images) for one in records.values()))

    def expected(self, points: Sequence[GridPoint], rung: int) -> float:
        """Seconds that a look at these points takes, about: an estimate from the looks so far."""
        known = [seconds for visits in self._visit_s.values() for seconds in visits]
        usual = float(np.median(known)) if known else 5.0
        seconds, work = map(sum, zip(*self._rate, strict=True)) if self._rate else (1.0, 1.0)
        rate = seconds / work if self._rate else 0.0
        builds, base = {self.build(point) for point in points}, self.ladder[rung].study.baseline
        visits = sum(float(np.mean(self._visit_s.get(build, [usual]))) for build in builds)
        pictures = len(points) * len(base.inputs["items"]) * len(base.protocol["seeds"])
        scoring = pictures * float(np.median(self._picture_s)) if self._picture_s else 0.0
        return visits + scoring + sum(self.ladder[rung].trial(point).work * rate for point in points)
