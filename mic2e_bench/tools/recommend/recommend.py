"""The best measured setting under limits, what comes next, and what each limit costs. Pure functions over points.

The rule. Who limits the quality has said how much is enough: then speed decides among the settings within all limits.
Who does not, and prefers nothing, gets the fastest of those that cannot be told from the baseline (equal pictures, or a
difference no larger than rounding makes); where none of those is within the limits, the best quality. What is preferred
comes first instead. Of the settings that tie with the best one in the first quantity, those stay that tie with the best
one in the next, and so on; of what is left the baseline, else the first by the exact values. So a difference inside the
noise never decides while another quantity has a clear one.

Two values tie where the noise may be all that is between them:

latency   where the calls of both took turns over builds: the 95 % interval of their ratio holds 1; else they differ by
          no more than twice the spread of the calls (the distance between the quartiles) of the noisier one; a single
          call has no spread, and tells nothing apart
memory    they differ by no more than the larger noise: none of peak VRAM, of peak RSS what its study's repeats show
quality   the same by the noise floor that the record has: what a change that nobody made does to the value; of too few
          pictures the values as they are
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mic2e_bench.tools.recommend import pareto
from mic2e_bench.tools.recommend.point import BY_DEFAULT, LATENCY, MEMORY, QUALITY, QUANTITIES, Point, excess, points

__all__ = ["LATENCY", "MEMORY", "QUALITY", "QUANTITIES", "Point", "Recommendation", "points"]


@dataclass(frozen=True)
class Relaxed:
    """What one limit costs, the others kept.

    ``least`` is the nearest point beyond the limit that is clearly better (in the first quantity in which it does not
    tie with the best), ``most`` the one that would be recommended without the limit; both ``None`` where the limit
    costs nothing beyond the noise. Where nothing fits, ``least`` is the nearest point that fits without this limit.
    """

    name: str
    least: Point | None
    most: Point | None


@dataclass(frozen=True)
class Recommendation:
    """``best`` is ``None`` where nothing fits; then ``nearest`` is the point that misses the limits by least.

    ``as_good``: whether the choice was among those that cannot be told from the baseline.
    """

    limits: Mapping[str, float]
    order: tuple[str, ...]
    points: tuple[Point, ...]
    fitting: tuple[Point, ...]
    best: Point | None
    ties: tuple[Point, ...]
    runners_up: tuple[Point, ...]
    relaxed: tuple[Relaxed, ...]
    nearest: Point | None
    standing: Mapping[str, str]  # by id: front, tie, beaten or unknown
    as_good: bool = False

    def out_of_reach(self) -> list[str]:
        """The limits that no point keeps, even alone."""
        return [name for name in self.limits if all(name in point.beyond(self.limits) for point in self.points)]


def order(limits: Mapping[str, float], prefer: str | None = None, as_good: bool = False) -> tuple[str, ...]:
    """The quantities from the one on that counts first; ``as_good``: among settings of one quality."""
    if as_good:
        return (LATENCY, MEMORY)
    first = prefer or (LATENCY if QUALITY in limits else QUALITY)
    return (first, *(name for name in BY_DEFAULT if name != first))


def recommend(given: Sequence[Point], limits: Mapping[str, float], prefer: str | None = None) -> Recommendation:
    """The recommendation among points, by the rule above; quantities that no point has play no part.

    Raises ``ValueError`` where no point has the preferred quantity or a limited one.
    """
    there = [name for name in QUANTITIES if any(point.values[name] is not None for point in given)]
    needed = [name for name in (LATENCY, MEMORY) if name in there]
    within = [p for p in given if not p.beyond(limits) and all(p.values[name] is not None for name in needed)]
    as_good = not prefer and QUALITY not in limits and any(point.is_as_good for point in within)
    wanted = order(limits, prefer or (None if QUALITY in there else LATENCY), as_good)
    if lacking := [name for name in (wanted[0], *limits) if name not in there]:
        raise ValueError(f"no point has a value of {', '.join(dict.fromkeys(lacking))}")
    ranking = tuple(name for name in wanted if name in there)
    able = [point for point in given if all(point.values[name] is not None for name in ranking)]
    fitting = [point for point in able if not point.beyond(limits)]
    chosen = [point for point in fitting if point.is_as_good or not as_good]
    best = best_of(chosen, ranking) if chosen else None
    ties = tuple(p for p in chosen if p is not best and all(p.ties(best, name) for name in ranking))
    # by id: to look for a point in a list takes a comparison with each that is there
    first, next_best = {p.id for p in (*ties, *([best] if best else ()))}, {p.id for p in chosen}
    others = ranked([point for point in chosen if point.id not in first], ranking)
    others += ranked([point for point in fitting if point.id not in next_best], ranking, MOST - len(others))
    allowed = [point for point in able if point.is_as_good or not as_good]
    relaxed = tuple(_relax(allowed, limits, name, ranking, best) for name in limits)
    nearest = None
    if not best:
        missed = {p.id: sum(max(0.0, excess(p, name, limit)) for name, limit in limits.items()) for p in able}
        nearest = min(able, key=lambda p: (missed[p.id], p.id), default=None)
    return Recommendation(
        dict(limits), ranking, tuple(given), tuple(fitting), best, ties, tuple(others), relaxed, nearest,
        standings(given, there), as_good,
    )  # fmt: skip


MOST = 4  # runners-up


def ranked(given: Sequence[Point], ranking: Sequence[str], most: int = MOST) -> list[Point]:
    """The first ``most`` points by the rule, each the best of what the ones before it leave."""
    left, found = list(given), []
    while left and len(found) < most:
        best = best_of(left, ranking)
        left.remove(best)
        found.append(best)
    return found


def best_of(given: Sequence[Point], ranking: Sequence[str]) -> Point:
    """The best of some points by the rule at the top of this file."""
    left = list(given)
    for name in ranking:
        top = min(left, key=lambda point: (point.cost(name), point.id))
        left = [point for point in left if point.ties(top, name)]
    return min(left, key=lambda point: (not point.is_baseline, *(point.cost(name) for name in ranking), point.id))


def _relax(
    able: Sequence[Point], limits: Mapping[str, float], name: str, ranking: Sequence[str], best: Point | None
) -> Relaxed:
    others = {other: limit for other, limit in limits.items() if other != name}
    free = [point for point in able if not point.beyond(others)]
    most = best_of(free, ranking) if best else None
    if best and not most.improves_on(best, ranking):
        return Relaxed(name, None, None)
    if best:
        free = [point for point in free if point.beyond(limits) and point.improves_on(best, ranking)]
    return Relaxed(name, min(free, key=lambda point: (point.cost(name), point.id), default=None), most)


def standings(given: Sequence[Point], names: Sequence[str]) -> dict[str, str]:
    """Where each point stands to the Pareto front of these quantities (``pareto.standing``), by id."""
    if not given:
        return {}
    costs = [[np.nan if p.values[name] is None else p.cost(name) for name in names] for p in given]
    noise = [[point.noise[name] for name in names] for point in given]
    return dict(zip([p.id for p in given], pareto.standing(np.array(costs), np.array(noise)), strict=True))
