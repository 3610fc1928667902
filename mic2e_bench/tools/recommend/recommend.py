"""The best measured setting under limits, what comes next, and what each limit costs. Pure functions over frame rows.

The rule. Of the settings within all limits, those that tie with the best one in the preferred quantity stay; of them
those that tie with the best one in the next quantity, and so on; of what is left, the first by the exact values. So a
difference inside the noise never decides while another quantity has a clear one.

Two values tie where they differ by no more than the larger of their noises:

latency   twice the spread of the calls (the distance between the quartiles), as in an ablation
memory    peak VRAM repeats exactly; peak RSS as its study's repeats did
quality   the noise floor that the record has: what a change that nobody made does to the value
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mic2e_bench import units
from mic2e_bench.records.comparable import RSS
from mic2e_bench.tools.recommend import pareto

LATENCY, MEMORY, QUALITY = "latency", "memory", "quality"
QUANTITIES = (LATENCY, MEMORY, QUALITY)
BY_DEFAULT = (QUALITY, LATENCY, MEMORY)  # what is preferred first where nothing else is asked
KIND = {LATENCY: "s", MEMORY: "B", QUALITY: "%"}
FIELDS = {LATENCY: "latency_s", MEMORY: "memory_bytes", QUALITY: "quality_percent"}  # as programs read them


@dataclass(frozen=True)
class Point:
    """One measured setting: its frame row, its values (s, bytes, %; ``None`` where not measured), their noise."""

    row: Mapping[str, Any] = field(compare=False, repr=False)
    id: str
    label: str
    values: Mapping[str, float | None]
    noise: Mapping[str, float]

    def cost(self, name: str) -> float:
        """The value of a quantity, turned so that lower is better."""
        return -self.values[name] if name == QUALITY else self.values[name]

    def written(self, name: str) -> str:
        """A value with its unit; a dash where there is none."""
        return units.NONE if self.values[name] is None else units.write(self.values[name], KIND[name])

    def beyond(self, limits: Mapping[str, float]) -> list[str]:
        """The limits that it does not keep: latency and memory are at most, quality at least so much."""
        return [name for name, limit in limits.items() if _excess(self, name, limit) > 0]

    def ties(self, other: Point, name: str) -> bool:
        """Whether two values cannot be told apart."""
        return abs(self.values[name] - other.values[name]) <= max(self.noise[name], other.noise[name])

    def improves_on(self, other: Point, ranking: Sequence[str]) -> bool:
        """Whether it is better in the first quantity in which the two do not tie."""
        first = next((name for name in ranking if not self.ties(other, name)), None)
        return first is not None and self.cost(first) < other.cost(first)


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
    """``best`` is ``None`` where nothing fits; then ``nearest`` is the point that misses the limits by least."""

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

    def out_of_reach(self) -> list[str]:
        """The limits that no point keeps, even alone."""
        return [name for name in self.limits if all(name in point.beyond(self.limits) for point in self.points)]


def points(rows: Iterable[Mapping[str, Any]], memory: str, metric: str) -> list[Point]:
    """The points of frame rows. ``memory`` and ``metric`` name the columns; no ``metric`` means no quality."""
    made = []
    for row in rows:
        quality, noise = _quality(row, metric) if metric else (None, 0.0)
        values = {LATENCY: _number(row["latency_s"]), MEMORY: _number(row[memory]), QUALITY: quality}
        spread = row["latency_q3_s"] - row["latency_q1_s"] if values[LATENCY] is not None else 0.0
        rss = _number(row.get("memory_noise_bytes")) if memory == RSS else None
        noises = {LATENCY: spread, MEMORY: rss or 0.0, QUALITY: noise}
        made.append(Point(row, row["id"], row["label"], values, noises))
    return made


def _quality(row: Mapping[str, Any], metric: str) -> tuple[float | None, float]:
    """The value in percent and its noise; against the baseline the floor is what its own images get."""
    scale = 1.0 if metric.partition(".")[0] == "quality" else 100.0
    value, floor = _number(row.get(metric)), _number(row.get(f"{metric}_floor"))
    if value is None:
        return None, 0.0
    noise = 0.0 if floor is None else floor * scale if ".truth" in metric else 100.0 - floor * scale
    return value * scale, max(0.0, noise)


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


def order(limits: Mapping[str, float], prefer: str | None = None) -> tuple[str, ...]:
    """The quantities from the preferred one on: ``prefer``, or the first that has no limit."""
    free = [name for name in BY_DEFAULT if name not in limits]
    first = prefer or next(iter(free), QUALITY)
    return (first, *(name for name in BY_DEFAULT if name != first))


def _excess(point: Point, name: str, limit: float) -> float:
    """By how much of the limit a point is beyond it; below zero where it is within."""
    value = point.values[name]
    return float("inf") if value is None else (limit - value if name == QUALITY else value - limit) / max(limit, 1e-9)


def recommend(given: Sequence[Point], limits: Mapping[str, float], prefer: str | None = None) -> Recommendation:
    """The recommendation among points, by the rule above; quantities that no point has play no part.

    Raises ``ValueError`` where no point has the preferred quantity or a limited one.
    """
    there = [name for name in QUANTITIES if any(point.values[name] is not None for point in given)]
    wanted = order(limits, prefer) if prefer or QUALITY in there else order({QUALITY: 0.0, **limits}, LATENCY)
    if lacking := [name for name in (wanted[0], *limits) if name not in there]:
        raise ValueError(f"no point has a value of {', '.join(dict.fromkeys(lacking))}")
    ranking = tuple(name for name in wanted if name in there)
    able = [point for point in given if all(point.values[name] is not None for name in ranking)]
    fitting = [point for point in able if not point.beyond(limits)]
    best = best_of(fitting, ranking) if fitting else None
    ties = tuple(p for p in fitting if p is not best and all(p.ties(best, name) for name in ranking))
    others = ranked([point for point in fitting if point is not best and point not in ties], ranking)
    relaxed = tuple(_relax(able, limits, name, ranking, best) for name in limits)
    nearest = None
    if not best:
        missed = {p.id: sum(max(0.0, _excess(p, name, limit)) for name, limit in limits.items()) for p in able}
        nearest = min(able, key=lambda p: (missed[p.id], p.id), default=None)
    return Recommendation(
        dict(limits), ranking, tuple(given), tuple(fitting), best, ties, tuple(others), relaxed, nearest,
        standings(given, there),
    )  # fmt: skip


def ranked(given: Sequence[Point], ranking: Sequence[str], most: int = 4) -> list[Point]:
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
    return min(left, key=lambda point: (*(point.cost(name) for name in ranking), point.id))


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
