"""Looks at a landscape instead of a machine: the same search, in seconds that are counted and not waited for.

Each look draws its noise from what was measured: what a build does by itself, what a call does by itself, what few
pictures say of all, and what memory does. Seconds are those of loading, compiling, calls and scoring, as measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from mic2e_bench.tools.recommend.point import LATENCY, QUALITY
from mic2e_bench.tools.tune.race import Look
from mic2e_bench.tools.tune.space import GridPoint, Space
from mic2e_bench.workshop.proof.landscape_file import Landscape

LADDER = ((1, 1), (3, 3), (8, 10))  # inputs and repeats of each look, from the cheapest to the full protocol
# around the calls of a trial, and to score a picture: measured on the bundled models
TRIAL_S, IMAGE_S = 0.35, 0.25


@dataclass
class Replay:
    """``proposals.Bench`` on a landscape. ``spent_s`` are the seconds that the looks would have taken.

    ``alone``: each point in a build of its own, as whoever asks for one point at a time has it.
    """

    landscape: Landscape
    seed: int
    rungs: int = len(LADDER)
    alone: bool = False
    spent_s: float = 0.0
    looks: int = 0
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.ladder = LADDER[-self.rungs :]
        self.names, self.worst = self.landscape.names, np.array(self.landscape.limits)

    @property
    def space(self) -> Space:
        return self.landscape.space

    def build(self, point: GridPoint) -> str:
        return self.landscape.builds[point]

    def why_not(self, point: GridPoint) -> str:
        return self.space.why_not(point)

    def remember(self, point: GridPoint, look: Look) -> None:
        """Nothing: no point of a landscape runs out of memory."""

    def expected(self, points: Sequence[GridPoint], rung: int) -> float:
        """Seconds of looks at points: builds, new shapes, calls, scoring."""
        if self.alone:
            return sum(self._visit_s([point], rung) for point in points)
        return sum(self._visit_s(group, rung) for group in self._groups(points))

    def _visit_s(self, points: Sequence[GridPoint], rung: int) -> float:
        inputs, repeats = self.ladder[rung]
        build, shapes = self.landscape.build_s[self.build(points[0])], {self.landscape.shapes[p] for p in points}
        calls = 1 + repeats + (inputs - 1) + 2  # a warm-up, timed ones, a picture of each other input, two witnesses
        each = sum(calls * self._truth(p)[0] + TRIAL_S + IMAGE_S * inputs for p in points)
        return build[0] + build[1] * len(shapes) + each

    def look(self, points: Sequence[GridPoint], rung: int) -> dict[GridPoint, Look]:
        self.spent_s += self.expected(points, rung)
        self.looks += len(points)
        found = {}
        for group in self._groups(points):
            drift = self.rng.choice(self.landscape.noise["build"])
            found.update({point: self._look(point, rung, drift) for point in group})
        return found

    def _look(self, point: GridPoint, rung: int, drift: float) -> Look:
        truth = self._truth(point)
        if truth is None:
            return Look(None, failed="error: it fails here")
        (inputs, repeats), noise = self.ladder[rung], self.landscape.noise
        calls = truth[0] * np.exp(drift + self.rng.choice(noise["call"], repeats))
        spread = float(np.subtract(*np.percentile(calls, (75, 25)))) if repeats > 1 else np.inf
        memory = truth[1] * np.exp(self.rng.choice(noise["memory"]))
        values = {LATENCY: float(np.median(calls)), "memory": float(memory)}
        spreads = {LATENCY: spread, "memory": float(truth[1] * np.std(noise["memory"]))}
        if QUALITY in self.names:
            values[QUALITY] = (100 + truth[2]) * np.exp(self._deviation(point, inputs)) - 100
        return Look(tuple(values[n] for n in self.names), tuple(spreads.get(n, 0.0) for n in self.names))

    def _deviation(self, point: GridPoint, inputs: int) -> float:
        """What the first inputs say of a point beyond what all of them say: its own, however often it is looked at."""
        most = LADDER[-1][0]  # the noise is that of one of four
        known = self.landscape.noise["inputs"]
        own = known[hash((self.seed, point)) % len(known)]
        return float(own * np.sqrt((1 / inputs - 1 / most) / (1 - 1 / 4)))

    def _truth(self, point: GridPoint) -> tuple[float, ...]:
        return self.landscape.space.values[point]

    def _groups(self, points: Sequence[GridPoint]) -> Iterator[list[GridPoint]]:
        by_build: dict[str, list[GridPoint]] = {}
        for point in points:
            by_build.setdefault(self.build(point), []).append(point)
        yield from by_build.values()
