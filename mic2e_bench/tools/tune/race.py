"""The race among points: what each look at them said, how far a cheap look can be trusted, and what is dropped.

A look is a measurement under one protocol of a ladder, from one call to the study's own. A cheap look is compared with
the full ones of the same points; how far the two differ is how far any cheap look is in doubt. A point is dropped where
another one beats it by more than that doubt, and a value of a setting where a sibling beats it wherever both were tried
with all else equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from mic2e_bench.tools.recommend.pareto import FRONT, TIE, nondominated, standing
from mic2e_bench.tools.recommend.point import QUALITY
from mic2e_bench.tools.tune import forecast, hypervolume, siblings
from mic2e_bench.tools.tune.forecast import Forecast
from mic2e_bench.tools.tune.space import GridPoint, Space

LEAST_LOOKS = 4  # pairs of a cheap and a full look, before which the first guess of the doubt holds
FIRST_DOUBT = 0.15  # of a logarithm: 15 % of the seconds, the bytes and the distance of the pictures
SURE = 0.95
DEVIATIONS = 1.64  # standard deviations: so sure to one side
HOPE = 1.0  # standard deviations that a forecast may be better than its mean
NEAR = 0.5  # percent of quality: the distance of pictures below which a ratio of distances says nothing


@dataclass(frozen=True)
class Look:
    """What a look found: costs (s, bytes, negative %; lower is better) with their own noise, or why there are none.

    ``blamed`` are the axes whose receipts say that they did nothing, ``raised`` whether it was an error.
    """

    costs: tuple[float, ...] | None
    noise: tuple[float, ...] = ()
    failed: str = ""
    blamed: tuple[str, ...] = ()
    raised: bool = False
    record: str = ""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Look:
        """A look as ``dataclasses.asdict`` and a journal have kept it."""
        costs = stored["costs"]
        return cls(**{**stored, "costs": costs and tuple(costs), "noise": tuple(stored["noise"])})


class Estimates(NamedTuple):
    """Points with the logarithms of their costs and how far those are in doubt, shape (n, k) each."""

    points: list[GridPoint]
    costs: np.ndarray
    doubts: np.ndarray


@dataclass
class Race:
    """``looks`` has what was seen of each point, by rung of the ladder; the last of ``rungs`` is the full protocol."""

    space: Space
    names: Sequence[str]
    rungs: int
    worst: np.ndarray  # costs beyond which nothing is of use
    foretells: bool = True  # else every point stands as it was measured, and nothing is said of the others
    looks: dict[GridPoint, dict[int, Look]] = field(default_factory=dict)
    _made: Estimates | None = None
    _stand: list[str] | None = None

    def __post_init__(self) -> None:
        self.forecast = Forecast(self.space, self.rungs)

    def add(self, point: GridPoint, rung: int, look: Look) -> None:
        if look.costs is not None:
            self.looks.setdefault(point, {})[rung] = look
            self._made = self._stand = None

    @property
    def looked(self) -> int:
        """How many looks there were."""
        return sum(map(len, self.looks.values()))

    def estimates(self) -> Estimates:
        """The points of use with their costs and doubts as logarithms, as measured: each of its fullest look.

        Where there are enough of them, a forecast from all the others smooths each: the best of many noisy values are
        partly luck, and a forecast has none.
        """
        if self._made is None:
            made = self._measured()
            if self.foretells and len(made.points) >= forecast.LEAST:
                self.forecast.learn(*self._observed(made.points))
                means, doubts = self.forecast.means_and_doubts(made.points)
                made = Estimates(made.points, means, DEVIATIONS * doubts)
            self._made = made
        return self._made

    def _measured(self) -> Estimates:
        known = {rung: self.shift_and_doubt(rung) for rung in range(self.rungs)}
        points, costs, doubts = [], [], []
        for point, looks in self.looks.items():
            rung = max(looks)
            shift, doubt = known[rung]
            if (np.array(looks[rung].costs) <= self.worst).all():
                points.append(point)
                costs.append(self._log(looks[rung].costs) + shift)
                doubts.append(doubt if rung < self.rungs - 1 else self._own_doubt(looks[rung]))
        k = len(self.names)
        return Estimates(points, np.array(costs).reshape(-1, k), np.array(doubts).reshape(-1, k))

    def _observed(self, points: Sequence[GridPoint]) -> tuple[list[GridPoint], list[int], np.ndarray]:
        """Every look at points: the point, the rung, and its costs as logarithms; several of one make it surer."""
        looks = [(point, rung, self._log(look.costs)) for point in points for rung, look in self.looks[point].items()]
        of, rungs, costs = zip(*looks, strict=True)
        return list(of), list(rungs), np.array(costs)

    def gains(self, others: Sequence[GridPoint]) -> np.ndarray | None:
        """What each of other points alone would add to the share of the front's hypervolume, shape (n,), at best.

        At best: where it is by ``HOPE`` standard deviations better than its forecast. Nothing while there is none. The
        idea is that of SMS-EGO (Ponweiser et al., PPSN 2008).
        """
        made = self.estimates()
        if not self.foretells or len(made.points) < forecast.LEAST or not others:
            return None
        means, doubts = self.forecast.means_and_doubts(others)
        front, hoped = (self._costs(logs) for logs in (made.costs[nondominated(made.costs)], means - HOPE * doubts))
        reference, ideal = hypervolume.frame(front)
        reference, ideal = np.minimum(reference, self.worst), np.minimum(ideal, hoped.min(axis=0))
        found = np.zeros(len(hoped))
        free = ~(front[:, None] <= hoped).all(axis=2).any(axis=0) & (hoped < reference).all(axis=1)
        found[free] = hypervolume.gains(front, hoped[free], reference, ideal)
        return found

    def expected(self, point: GridPoint) -> np.ndarray:
        """The costs of a point, shape (k,), by its fullest look; smoothed where there is a forecast of it."""
        made = self.estimates()
        if point in made.points:
            return self._costs(made.costs[made.points.index(point)])
        return np.array(self.looks[point][max(self.looks[point])].costs)

    def standings(self) -> dict[GridPoint, str]:
        """Whether each point of use is on the front, ties with it within the doubt, or is beaten."""
        made = self.estimates()
        if self._stand is None:
            self._stand = standing(made.costs, made.doubts) if made.points else []
        return dict(zip(made.points, self._stand, strict=True))

    def alive(self) -> list[GridPoint]:
        """The points that are on the front, or may be."""
        return [point for point, place in self.standings().items() if place in (FRONT, TIE)]

    def front(self) -> list[GridPoint]:
        return [point for point, place in self.standings().items() if place == FRONT]

    def dropped(self) -> dict[tuple[str, int], tuple[str, int, int]]:
        """By axis and value (its index) the sibling that beats it, in how many pairs; see ``siblings``."""
        return siblings.beaten(self.space, *self._measured())

    def shift_and_doubt(self, rung: int) -> tuple[np.ndarray, np.ndarray]:
        """By how much fuller looks differ from those of this rung in the mean, and how far one look is in doubt."""
        k = len(self.names)
        if rung == self.rungs - 1:
            return np.zeros(k), np.zeros(k)
        apart = [self._log(looks[max(looks)].costs) - self._log(looks[rung].costs)
                 for looks in self.looks.values() if rung in looks and max(looks) > rung]  # fmt: skip
        if len(apart) < LEAST_LOOKS:
            return np.zeros(k), np.full(k, FIRST_DOUBT)
        sure = stats.t.ppf(SURE, len(apart) - 1)
        return np.mean(apart, axis=0), sure * np.std(apart, axis=0, ddof=1)

    def _log(self, costs: Sequence[float]) -> np.ndarray:
        """Costs on a scale on which a ratio is a distance; of a quality its distance from 100 %."""
        pairs = zip(self.names, costs, strict=True)
        return np.log([max(100.0 + cost, 0.0) + NEAR if name == QUALITY else cost for name, cost in pairs])

    def _costs(self, logs: np.ndarray) -> np.ndarray:
        """Back from that scale."""
        shifts = [100.0 + NEAR if name == QUALITY else 0.0 for name in self.names]
        return np.exp(logs) - np.array(shifts)

    def _own_doubt(self, look: Look) -> np.ndarray:
        """The noise of a full look, on that scale."""
        high = [cost + noise for cost, noise in zip(look.costs, look.noise, strict=True)]
        return self._log(high) - self._log(look.costs)
