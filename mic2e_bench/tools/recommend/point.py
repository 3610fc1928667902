"""One measured setting among those to choose from: its values, their noise, and what it ties with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mic2e_bench import units
from mic2e_bench.records import comparable
from mic2e_bench.records.ratios import Speedup, speedup
from mic2e_bench.records.record import Record

LATENCY, MEMORY, QUALITY = "latency", "memory", "quality"
QUANTITIES = (LATENCY, MEMORY, QUALITY)
BY_DEFAULT = (QUALITY, LATENCY, MEMORY)  # in which order they count
AS_GOOD = ("same", "rounding")  # what ``comparable.told`` says of pictures that cannot be told from the baseline's
KIND = {LATENCY: "s", MEMORY: "B", QUALITY: "%"}
FIELDS = {LATENCY: "latency_s", MEMORY: "memory_bytes", QUALITY: "quality_percent"}  # as programs read them


@dataclass(frozen=True)
class Point:
    """One measured setting: its frame row, its values (s, bytes, %; ``None`` where not measured), their noise.

    ``record`` and ``study``, its study's baseline, are there where it was read from records. ``presets`` are those
    that it is, in every setting.
    """

    row: Mapping[str, Any] = field(compare=False, repr=False)
    id: str
    label: str
    values: Mapping[str, float | None]
    noise: Mapping[str, float]
    record: Record | None = field(default=None, compare=False, repr=False)
    study: Record | None = field(default=None, compare=False, repr=False)
    presets: tuple[str, ...] = ()

    @property
    def is_baseline(self) -> bool:
        return bool(self.row.get("baseline"))

    @property
    def told(self) -> str:
        """What is known of its pictures beside the baseline's (``comparable.told``)."""
        return "same" if self.is_baseline else comparable.told(self.record) if self.record else "unknown"

    @property
    def is_as_good(self) -> bool:
        """Whether its pictures cannot be told from the baseline's."""
        return self.told in AS_GOOD

    def against(self, other: Point) -> Speedup:
        """How much faster it is than another."""
        if not self.record or not other.record:
            return Speedup(other.values[LATENCY] / self.values[LATENCY], why="no records at hand")
        return speedup(other.record, self.record, self.study)

    def cost(self, name: str) -> float:
        """The value of a quantity, turned so that lower is better."""
        return -self.values[name] if name == QUALITY else self.values[name]

    def written(self, name: str) -> str:
        """A value with its unit; a dash where there is none."""
        return units.NONE if self.values[name] is None else units.write(self.values[name], KIND[name])

    def beyond(self, limits: Mapping[str, float]) -> list[str]:
        """The limits that it does not keep: latency and memory are at most, quality at least so much."""
        return [name for name, limit in limits.items() if excess(self, name, limit) > 0]

    def ties(self, other: Point, name: str) -> bool:
        """Whether two values cannot be told apart."""
        if name == LATENCY and self._took_turns(other) and (ends := self.against(other).interval):
            return ends[0] <= 1 <= ends[1]
        noise = max(self.noise[name], other.noise[name])
        if name == QUALITY and "too few" in (self.told, other.told):  # no floor says of a few that they are as good
            noise = 0.0
        return abs(self.values[name] - other.values[name]) <= noise

    def _took_turns(self, other: Point) -> bool:
        """A ratio is of seconds an image: of one number of images, it is that of the calls."""
        mine, its = self.record, other.record
        return bool(mine and its and mine.rounds) and (mine.rounds, mine.batch) == (its.rounds, its.batch)

    def improves_on(self, other: Point, ranking: Sequence[str]) -> bool:
        """Whether it is better in the first quantity in which the two do not tie."""
        first = next((name for name in ranking if not self.ties(other, name)), None)
        return first is not None and self.cost(first) < other.cost(first)


def points(
    rows: Iterable[Mapping[str, Any]], memory: str, metric: str, records: Mapping[str, Record] | None = None
) -> list[Point]:
    """The points of frame rows. ``memory`` and ``metric`` name the columns; no ``metric`` means no quality.

    ``records`` are those of the rows, by id, where they are at hand.
    """
    made, records = [], records or {}
    baselines = {one.study: one for one in records.values() if comparable.is_baseline(one)}
    for row in rows:
        one = records.get(row["id"])
        quality, noise = _quality(row, metric) if metric else (None, 0.0)
        values = {LATENCY: _number(row["latency_s"]), MEMORY: _number(row[memory]), QUALITY: quality}
        spread = row["latency_q3_s"] - row["latency_q1_s"] if values[LATENCY] is not None else 0.0
        if one and len(one.latency_s) == 1:  # nothing says how far it would repeat
            spread = math.inf
        noises = {LATENCY: spread, MEMORY: (one and comparable.memory_noise(one)) or 0.0, QUALITY: noise}
        made.append(Point(row, row["id"], row["label"], values, noises, one, one and baselines.get(one.study)))
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


def excess(point: Point, name: str, limit: float) -> float:
    """By how much of the limit a point is beyond it; below zero where it is within."""
    value = point.values[name]
    return float("inf") if value is None else (limit - value if name == QUALITY else value - limit) / max(limit, 1e-9)
