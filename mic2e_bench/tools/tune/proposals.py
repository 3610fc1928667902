"""Proposals that wait until a build has enough of them to be worth its seconds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import optuna
from optuna.trial import Trial, TrialState

from mic2e_bench.tools.tune.race import Look
from mic2e_bench.tools.tune.sampler import Exhausted, params_of, propose
from mic2e_bench.tools.tune.space import GridPoint, Space

VISIT = 16  # points of one visit to a build, at most

Pair = tuple[Trial, GridPoint]


class Bench(Protocol):
    """What a search looks through. ``worst`` are the costs beyond which nothing is of use."""

    space: Space
    names: Sequence[str]
    worst: np.ndarray
    rungs: int

    def build(self, point: GridPoint) -> str: ...

    def why_not(self, point: GridPoint) -> str: ...

    def look(self, points: Sequence[GridPoint], rung: int) -> dict[GridPoint, Look]: ...

    def expected(self, points: Sequence[GridPoint], rung: int) -> float: ...


@dataclass
class Proposals:
    """``waiting`` has by build what was proposed and not looked at yet; ``first`` are the first guesses."""

    bench: Bench
    study: optuna.Study
    first: Collection[GridPoint]
    waiting: dict[str, list[Pair]] = field(default_factory=dict)

    def gather(
        self, want: int, tried: Collection[GridPoint], dropped: Mapping[str, set[Any]],
        promising: Callable[[Sequence[GridPoint]], Sequence[GridPoint]],
    ) -> None:  # fmt: skip
        """Ask the sampler until ``want`` wait, for points in which nothing was dropped and that are ``promising``."""
        for build, queue in list(self.waiting.items()):  # what was dropped since it was proposed
            gone = [pair for pair in queue if self._has(pair[1], dropped)]
            for trial, _ in gone:
                self.study.tell(trial, state=TrialState.FAIL)
            self.waiting[build] = [pair for pair in queue if pair not in gone]
        there = {point for queue in self.waiting.values() for _, point in queue}
        taken = there.union(tried)
        left = [point for point in self.bench.space.points
                if point not in taken and not self._has(point, dropped) and not self.bench.why_not(point)]  # fmt: skip
        worth = set(promising(left))
        with contextlib.suppress(Exhausted):
            for _ in range(want - len(there)):
                trial, point = propose(self.study, self.bench.space, worth)
                worth.discard(point)
                self.waiting.setdefault(self.bench.build(point), []).append((trial, point))
        self.waiting = {build: queue for build, queue in self.waiting.items() if queue}

    def _has(self, point: GridPoint, dropped: Mapping[str, set[Any]]) -> bool:
        return any(value in dropped.get(name, ()) for name, value in params_of(self.bench.space, point).items())

    def visit(self, most: int) -> list[Pair]:
        """What to look at next: of the build that gives most points for its seconds; nothing where nothing waits."""
        if not self.waiting:
            return []
        build = max(self.waiting, key=self._worth)
        batch = self._untold(self.waiting[build])[: min(VISIT, most)]
        self.waiting[build] = [pair for pair in self.waiting[build] if pair not in batch]
        return batch

    def _worth(self, build: str) -> float:
        """Waiting points for each second; the builds of the first guesses come before all."""
        points = [point for _, point in self.waiting[build][:VISIT]]
        if any(point in self.first for point in points):
            return np.inf
        return len(points) / self.bench.expected(points, 0)

    def _untold(self, queue: Sequence[Pair]) -> list[Pair]:
        """Those to look at now: of points with a word that has not worked yet, only the first.

        Its receipts say whether the word does anything here; what does nothing is not tried twice.
        """
        space, chosen, on_trial = self.bench.space, [], set()
        words = {axis.name for axis in space.axes if not axis.is_ordered}
        known = set(params_of(space, space.nearest(space.baseline)).items())
        worked = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        known |= {pair for trial in worked for pair in trial.params.items()}
        for pair in queue:
            unproven = {one for one in params_of(space, pair[1]).items() if one[0] in words} - known
            if not unproven & on_trial:
                chosen.append(pair)
                on_trial |= unproven
        return chosen
