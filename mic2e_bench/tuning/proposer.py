"""Which point to measure next: the one that is expected to raise the front's hypervolume most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mic2e_bench.choosing.front import nondominated
from mic2e_bench.tuning import hypervolume
from mic2e_bench.tuning.space import OFF, Point, Space
from mic2e_bench.tuning.surrogate import Process

DRAWS = 32  # from the surrogate's distribution, for the expectation
LOOKED_AT = 100  # candidates whose expectation is computed: the most promising ones by an optimistic guess
LOYALTY = 0.8  # of the best expectation: above it a point is preferred whose build is loaded anyway
ROOM = 0.3  # of the front's range, beyond its worst values
HOPE = 2.0  # standard deviations of an optimistic guess


class Proposer:
    """One for a search. Costs are turned so that lower is better; a quantity with only positive ones is seen as ratios.

    ``limits`` (shape (k,), infinite where there is none) are the worst costs that are of any use. ``build_of`` names
    the build of a point. ``initial`` points are spread over the space before the surrogate is asked.
    """

    def __init__(
        self,
        space: Space,
        limits: Sequence[float],
        build_of: Callable[[Point], str] = lambda point: "",
        initial: int | None = None,
        seed: int = 0,
    ) -> None:
        self.space, self.limits, self.build_of, self.seed = space, np.asarray(limits, dtype=float), build_of, seed
        steps = sum(len(axis.values) - 1 for axis in space.axes)
        self.initial = max(6, steps) if initial is None else initial
        # an axis that can be off has one value more: being off is like no other value
        self.places = [np.append(axis.places, np.nan) for axis in space.axes]
        self.processes = [Process(self.places) for _ in self.limits]
        self.fitted = 0

    def propose(
        self, known: Mapping[Point, Sequence[float]], pending: Sequence[Point], failed: Mapping[Point, Sequence[str]]
    ) -> Point | None:
        """The next point, ``None`` where none is left.

        ``known`` has the costs of what was measured, ``pending`` is asked for and not measured yet, ``failed`` was
        tried in vain, with the names of the axes that are to blame (none: nobody knows).
        """
        rng = np.random.default_rng([self.seed, len(known), len(pending), len(failed)])
        taken = {*known, *pending, *failed}
        around = [] if self.space.is_whole else self._around(known)
        free = [point for point in dict.fromkeys([*self.space.points, *around]) if point not in taken]
        if not free:
            return None
        tried, chance = [*known, *pending, *failed], self._chance(free, known, failed)
        if len(tried) < self.initial or len(known) < 3:
            return self._spread(free, tried, chance, rng)
        return self._expected_best(free, known, list(pending), chance, rng)

    def _chance(self, free: Sequence[Point], known: Mapping, failed: Mapping[Point, Sequence[str]]) -> np.ndarray:
        """How likely each point can be measured: by the failures that its values are to blame for, and their successes.

        A value that failed ``b`` times and worked ``s`` times has the chance ``(s + 1) / (s + b + 1)``.
        """
        chance, names = np.ones(len(free)), [axis.name for axis in self.space.axes]
        if not failed:
            return chance
        rows, worked, in_vain = self._rows(free), self._rows(list(known)), self._rows(list(failed))
        blame = np.array([[float(name in by) if by else 1 / len(names) for name in names] for by in failed.values()])
        for axis, places in enumerate(self.places):
            good = np.bincount(worked[:, axis], minlength=len(places))
            bad = np.bincount(in_vain[:, axis], weights=blame[:, axis], minlength=len(places))
            chance *= ((good + 1) / (good + bad + 1))[rows[:, axis]]
        return chance

    def _around(self, known: Mapping[Point, Sequence[float]]) -> list[Point]:
        points = list(known)
        front = nondominated(np.array([known[point] for point in points])) if points else []
        return [near for point, on in zip(points, front, strict=True) if on for near in self.space.neighbours(point)]

    def _rows(self, points: Sequence[Point]) -> np.ndarray:
        rows = np.array(points, dtype=int).reshape(len(points), len(self.places))
        return np.where(rows == OFF, [len(places) - 1 for places in self.places], rows)

    def _spread(self, free: list[Point], tried: list[Point], chance: np.ndarray, rng: np.random.Generator) -> Point:
        """The point of which the least is known before anything is learned."""
        if not tried:
            return free[rng.integers(len(free))]
        prior = Process(self.places)
        rows, seen = self._rows(free), self._rows(tried)
        within, across = prior.covariance(seen, seen), prior.covariance(rows, seen)
        explained = np.einsum("ij,ji->i", across, np.linalg.solve(within + 1e-3 * np.eye(len(seen)), across.T))
        return free[int(np.argmax((1 - explained + 1e-3 * rng.random(len(free))) * chance))]

    def _expected_best(
        self,
        free: list[Point],
        known: Mapping[Point, Sequence[float]],
        pending: list[Point],
        chance: np.ndarray,
        rng: np.random.Generator,
    ) -> Point:
        costs = np.array(list(known.values()), dtype=float)
        ratios = (costs > 0).all(axis=0)
        self._fit(self._rows(list(known)), np.where(ratios, np.log(np.where(ratios, costs, 1.0)), costs), len(known))
        mean, deviation = self._predict(self._rows([*free, *pending]))
        expected = _back(mean[len(free) :], ratios)  # of what is pending, as if it were measured
        hoped = _back(mean - HOPE * deviation, ratios)[: len(free)]
        box = self._box(np.vstack([costs, expected]), hoped)
        promise = chance * box.gain(hoped) if box else np.zeros(len(free))
        if not promise.any():  # nothing is hoped to count: come nearer to the limits, else learn
            return free[self._nearest(hoped, deviation[: len(free)], rng)]
        best = np.argsort(-promise, kind="stable")[:LOOKED_AT]
        draws = mean[best] + deviation[best] * rng.normal(size=(DRAWS, 1, len(self.limits)))
        gains = box.gain(_back(draws, ratios).reshape(-1, len(self.limits))).reshape(DRAWS, -1)
        gain = chance[best] * gains.mean(axis=0)
        return free[best[self._loyal(gain, [free[index] for index in best], pending)]]

    def _fit(self, rows: np.ndarray, values: np.ndarray, count: int) -> None:
        if count != self.fitted:
            for process, column in zip(self.processes, values.T, strict=True):
                process.fit(rows, column)
            self.fitted = count

    def _predict(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = [process.predict(rows) for process in self.processes]
        return np.stack([mean for mean, _ in found], axis=1), np.stack([deviation for _, deviation in found], axis=1)

    def _box(self, costs: np.ndarray, hoped: np.ndarray) -> hypervolume.Box | None:
        """The box in which a gain counts: that of the front so far with room to grow at its ends, within the limits."""
        useful = costs[(costs <= self.limits).all(axis=1)]
        reference, ideal = hypervolume.frame(useful if len(useful) else costs, ROOM)
        reference, ideal = np.minimum(reference, self.limits), np.minimum(ideal, hoped.min(axis=0))
        return hypervolume.Box(costs, reference, ideal) if (ideal < reference).all() else None

    def _nearest(self, hoped: np.ndarray, deviation: np.ndarray, rng: np.random.Generator) -> int:
        """The candidate that misses the limits by least; of those within them, the least known one."""
        finite = np.isfinite(self.limits)
        beyond = np.clip(hoped - self.limits, 0, None)[:, finite] / np.maximum(np.abs(self.limits[finite]), 1e-9)
        unknown = (deviation / np.maximum(deviation.max(axis=0), 1e-12)).sum(axis=1)
        return int(np.lexsort((rng.random(len(hoped)), -unknown, beyond.sum(axis=1)))[0])

    def _loyal(self, gain: np.ndarray, points: list[Point], pending: list[Point]) -> int:
        """The best candidate, or one nearly as good that shares the build of a pending one."""
        loaded = {self.build_of(point) for point in pending}
        shared = np.array([self.build_of(point) in loaded for point in points])
        near = shared & (gain >= LOYALTY * gain.max())
        return int(np.argmax(np.where(near, gain, -1.0) if near.any() else gain))


def _back(values: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    """From what the surrogate works on to costs."""
    return np.where(ratios, np.exp(np.minimum(values, 700.0)), values)
