"""How a budget of time is spent: the search first, then the race up the ladder, then the finalists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mic2e_bench.tools.tune.budget import MOVED, Allowance
from mic2e_bench.tools.tune.proposals import Bench
from mic2e_bench.tools.tune.race import Race
from mic2e_bench.tools.tune.space import GridPoint

CLIMBS = 0.6  # of the points that climb to a rung, those that climb to the next: for the reserve of time only
RESERVE = 0.4  # of the budget, at most, for the race up the ladder and the finalists


@dataclass
class Spending:
    """The seconds of one search. ``clock`` tells seconds; ``before_s`` were spent in earlier calls.

    At the end each of the ``most`` finalists takes ``final_looks`` full looks.
    """

    budget: Allowance
    bench: Bench
    race: Race
    most: int
    final_looks: float
    clock: Callable[[], float]
    before_s: float = 0.0
    begin: float = field(init=False)

    def __post_init__(self) -> None:
        self.begin = self.clock()

    @property
    def spent_s(self) -> float:
        return self.before_s + self.clock() - self.begin

    def for_search_s(self, tried: int) -> float:
        """The time that is left before the race's and the finalists' share of it begins; the first visit has any."""
        if not self.budget.seconds or not tried:
            return np.inf
        return self.budget.seconds - self.spent_s - min(self.reserve_s, RESERVE * self.budget.seconds)

    @property
    def for_race_s(self) -> float:
        """The time that is left before the finalists' share of it begins."""
        return (self.budget.seconds or np.inf) - self.spent_s - self.finals_s

    @property
    def least_gain(self) -> float:
        """The gain, for each second, that would not move the front if it were kept up for all the time that is left."""
        return MOVED / max(1.0, self.budget.seconds - self.spent_s) if self.budget.seconds else 0.0

    @property
    def reserve_s(self) -> float:
        """Seconds that the race and the finalists will take, about."""
        alive, total, share = self.race.alive(), 0.0, 1.0
        for rung in range(1, self.bench.rungs):
            total += share * self.bench.expected([p for p in alive if max(self.race.looks[p]) < rung], rung)
            share *= CLIMBS
        return total + self.finals_s

    @property
    def finals_s(self) -> float:
        """Seconds that the finalists will take, about, each in a process of its own."""
        return sum(map(self._final_s, self.race.front()[: self.most]))

    def has_time_for(self, finalist: GridPoint) -> bool:
        """Whether a finalist is expected to end within a budget of time; with one of trials always."""
        return not self.budget.seconds or self.spent_s + self._final_s(finalist) <= self.budget.seconds

    def affordable(self, points: Sequence[GridPoint], rung: int) -> list[GridPoint]:
        """The points that there is time for in the race, those of the front first, ordered by build."""
        left_s, front = self.for_race_s, set(self.race.front())
        ranked = sorted(points, key=lambda point: point not in front)
        while ranked and self.bench.expected(ranked, rung) > left_s:
            ranked = ranked[: len(ranked) * 3 // 4]
        return sorted(ranked, key=self.bench.build)

    def left_s(self, tried: int) -> float:
        """Seconds until the search and all after it has ended, about, at most."""
        if self.budget.seconds:
            return max(0.0, self.budget.seconds - self.spent_s)
        return self.spent_s / max(1, tried) * (self.budget.trials - tried) + self.reserve_s

    def _final_s(self, point: GridPoint) -> float:
        return self.final_looks * self.bench.expected([point], self.bench.rungs - 1)
