"""From the looks of a search to its front: each finalist under the full protocol, in a fresh process.

A search looks at many noisy values and keeps the best, so the best are partly luck; only what is measured again counts.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mic2e_bench.tools.recommend import pareto as front
from mic2e_bench.tools.recommend import recommend
from mic2e_bench.tools.recommend.recommend import LATENCY
from mic2e_bench.tools.tune import hypervolume
from mic2e_bench.tools.tune.measuring import Columns, Measuring
from mic2e_bench.tools.tune.sampler import params_of, point_of
from mic2e_bench.tools.tune.search import Search
from mic2e_bench.tools.tune.space import GridPoint


@dataclass(frozen=True)
class Remeasured:
    """The finalists as measured again, by latency; where each stands, and its latency in the search (s)."""

    finalists: tuple[recommend.Point, ...]
    settings: Mapping[str, Mapping[str, Any]]  # by the record's id
    standing: Mapping[str, str]
    before_s: Mapping[str, float]
    baseline: recommend.Point
    columns: Columns
    why: str  # the search ended
    limits: Mapping[str, float]

    @property
    def front(self) -> list[recommend.Point]:
        """Those that stayed on the front, and within the limits."""
        kept = (front.FRONT, front.TIE)
        return [p for p in self.finalists if self.standing[p.id] in kept and not p.beyond(self.limits)]


def finish(search: Search, full: Measuring, why: str) -> Remeasured:
    """Measure the finalists again; what was measured so in an earlier call is not measured once more."""
    _say(f"the search ended: {why}")
    baseline = full.baseline()
    columns = Columns.of(baseline)
    chosen = _chosen(search, full)
    before = dict(search.study.user_attrs.get("before_s", {}))
    points, settings = [], {}
    for index, point in enumerate(chosen, 1):
        trial = full.trial(point)
        if trial.id not in before:
            if points and not search.spending.has_time_for(point):
                _say(f"finalists {index} to {len(chosen)} are left out: no time is left for them")
                break
            first = search.race.expected(point)[columns.names.index(LATENCY)]
            _say(f"finalist {index}/{len(chosen)}, in a fresh process: {trial.label}")
            full.again(point)
            before[trial.id] = first
            search.study.set_user_attr("before_s", before)
        found = full.read(trial)
        if found.status == "ok":
            points.append(columns.point(found))
            settings[trial.id] = full.space.settings(point)
    points.sort(key=lambda one: one.values[LATENCY])
    standing = recommend.standings(points, columns.names)
    reference = columns.point(baseline)
    return Remeasured(tuple(points), settings, standing, before, reference, columns, why, dict(search.bench.limits))


def _say(text: str) -> None:
    print(f"tune: {text}", file=sys.stderr, flush=True)


def _chosen(search: Search, full: Measuring) -> list[GridPoint]:
    """The finalists: of what the race has on the front, within the limits; of the trials so far chosen once, and kept.

    No point needs a full look before: each finalist gets one, anew.
    """
    kept = search.study.user_attrs.get("finalists", {})
    if kept.get("of") == search.tried:
        return [point_of(full.space, params) for params in kept["params"]]
    alive = search.race.alive() or list(search.race.looks)  # where nothing is within the limits, the nearest
    if not alive:
        return []  # everything failed
    costs = np.array([search.race.expected(point) for point in alive])
    fitting = (costs <= search.bench.worst).all(axis=1)
    some = np.flatnonzero(fitting) if fitting.any() else np.arange(len(alive))
    some = some[front.nondominated(costs[some])]
    chosen = [alive[some[index]] for index in spanning(costs[some], search.most)]
    params = [params_of(full.space, point) for point in chosen]
    search.study.set_user_attr("finalists", {"of": search.tried, "params": params})
    return chosen


def spanning(costs: np.ndarray, most: int) -> list[int]:
    """The indices of at most ``most`` points, each the one that adds most hypervolume to those before it."""
    if len(costs) <= most:
        return list(range(len(costs)))
    reference, ideal = hypervolume.frame(costs)
    kept: list[int] = []
    while len(kept) < most:
        others = [index for index in range(len(costs)) if index not in kept]
        kept.append(max(others, key=lambda index: hypervolume.share(costs[[*kept, index]], reference, ideal)))
    return kept
