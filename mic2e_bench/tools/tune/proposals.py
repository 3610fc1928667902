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
from mic2e_bench.tools.tune.sampler import Exhausted, params_of, propose, suggest
from mic2e_bench.tools.tune.space import GridPoint, Space

VISIT = 16  # points of one visit to a build, at most
CONSIDERED = 5000  # points that are foretold for one visit, at most: a forecast of more takes seconds
FORETOLD = 4  # of them while there is a forecast, which every look changes

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

    def remember(self, point: GridPoint, look: Look) -> None: ...

    def expected(self, points: Sequence[GridPoint], rung: int) -> float: ...


@dataclass
class Proposals:
    """``waiting`` has by build what was proposed and not looked at yet; ``first`` are the first guesses."""

    bench: Bench
    study: optuna.Study
    first: Collection[GridPoint]
    waiting: dict[str, list[Pair]] = field(default_factory=dict)

    def visit(
        self, most: int, want: int, tried: Collection[GridPoint], dropped: Mapping[str, set[Any]],
        gains: Callable[[Sequence[GridPoint]], np.ndarray | None], least: float, within_s: float,
    ) -> list[Pair]:  # fmt: skip
        """What to look at next, of one build, within ``most`` points and ``within_s``, if anything is worth it.

        While nothing is foretold, what the sampler proposes: it is asked until ``want`` wait. Then the points, and the
        build, of most gain for their seconds, where that is ``least`` or more.
        """
        left = [point for point in self.bench.space.points
                if point not in tried and not self._has(point, dropped) and not self.bench.why_not(point)]  # fmt: skip
        some = self._considered(left, len(tried))
        foretold = gains(some)
        if foretold is None or self._first_wait():
            self._forget(set(left))
            self._ask(want, set(left))
            chosen = self._fullest(within_s)
        else:
            self._forget(())
            chosen = [self._enqueued(point) for point in self._best(some, foretold, least, within_s)]
        return self._fitting(self._untold(chosen, most), within_s)

    def _considered(self, left: Sequence[GridPoint], seed: int) -> Sequence[GridPoint]:
        """The points to be foretold: of a large space other ones each time."""
        if len(left) <= CONSIDERED:
            return left
        return [left[at] for at in np.random.default_rng(seed).choice(len(left), CONSIDERED, replace=False)]

    def _first_wait(self) -> bool:
        return any(point in self.first for queue in self.waiting.values() for _, point in queue)

    def _forget(self, but: Collection[GridPoint]) -> None:
        """What waits is not looked at any more, but for these."""
        for build, queue in list(self.waiting.items()):
            for trial, point in queue:
                if point not in but:
                    self.study.tell(trial, state=TrialState.FAIL)
            self.waiting[build] = [pair for pair in queue if pair[1] in but]

    def _ask(self, want: int, worth: set[GridPoint]) -> None:
        there = {point for queue in self.waiting.values() for _, point in queue}
        worth -= there
        with contextlib.suppress(Exhausted):
            for _ in range(want - len(there)):
                trial, point = propose(self.study, self.bench.space, worth)
                worth.discard(point)
                self.waiting.setdefault(self.bench.build(point), []).append((trial, point))

    def _fullest(self, within_s: float) -> list[Pair]:
        """What waits for the build of most points for their seconds; the builds of the first guesses before all."""

        def worth(build: str) -> float:
            points = [point for _, point in self.waiting[build]][:VISIT]
            if any(point in self.first for point in points):
                return np.inf
            return len(points) / self.bench.expected(points, 0)

        self.waiting = {build: queue for build, queue in self.waiting.items() if queue}
        fitting = [build for build, queue in self.waiting.items() if self.bench.expected([queue[0][1]], 0) <= within_s]
        return self.waiting.pop(max(fitting, key=worth)) if fitting else []

    def _best(self, points: Sequence[GridPoint], gains: np.ndarray, least: float, within_s: float) -> list[GridPoint]:
        """The points of one build with most gain for their seconds; none where that is less than ``least``."""
        by_build: dict[str, list[int]] = {}
        for at in np.argsort(-gains):
            if gains[at] > 0:
                by_build.setdefault(self.bench.build(points[at]), []).append(at)
        best, rate = [], least
        for group in by_build.values():
            for count in range(1, min(len(group), FORETOLD) + 1):
                some = group[:count]
                seconds = self.bench.expected([points[at] for at in some], 0)
                if seconds <= within_s and gains[some].sum() / seconds > rate:
                    best, rate = some, gains[some].sum() / seconds
        return [points[at] for at in best]

    def _fitting(self, pairs: list[Pair], within_s: float) -> list[Pair]:
        """Those of one build that there is time for; the others wait."""
        while pairs and self.bench.expected([point for _, point in pairs], 0) > within_s:
            pair = pairs.pop()
            self.waiting.setdefault(self.bench.build(pair[1]), []).append(pair)
        return pairs

    def _enqueued(self, point: GridPoint) -> Pair:
        """A trial of this point, however many are queued before it."""
        self.study.enqueue_trial(params_of(self.bench.space, point))
        while suggest(trial := self.study.ask(), self.bench.space) != point:
            self.study.tell(trial, state=TrialState.FAIL)
        return trial, point

    def _has(self, point: GridPoint, dropped: Mapping[str, set[Any]]) -> bool:
        return any(value in dropped.get(name, ()) for name, value in params_of(self.bench.space, point).items())

    def _untold(self, queue: Sequence[Pair], most: int) -> list[Pair]:
        """``most`` of a queue to look at now, the others wait: of points with a word that has not worked yet, one.

        Its receipts say whether the word does anything here; what does nothing is not tried twice.
        """
        space, chosen, on_trial = self.bench.space, [], set()
        words = {axis.name for axis in space.axes if not axis.is_ordered}
        known = set(params_of(space, space.nearest(space.baseline)).items())
        worked = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        known |= {pair for trial in worked for pair in trial.params.items()}
        for pair in queue:
            unproven = {one for one in params_of(space, pair[1]).items() if one[0] in words} - known
            if len(chosen) < min(VISIT, most) and not unproven & on_trial:
                chosen.append(pair)
                on_trial |= unproven
            else:
                self.waiting.setdefault(self.bench.build(pair[1]), []).append(pair)
        return chosen
