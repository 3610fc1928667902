"""One setting beside its study's baseline, in words: nothing is said that the noise could have made."""

from __future__ import annotations

from dataclasses import dataclass

from mic2e_bench.records.ratios import Speedup
from mic2e_bench.report.metric_names import NAMES
from mic2e_bench.tools.recommend import text as recommend_text
from mic2e_bench.tools.recommend.candidates import Candidates
from mic2e_bench.tools.recommend.point import MEMORY, QUALITY, Point
from mic2e_bench.units import NONE, digits

PICTURES = {"same": "the baseline's very pictures", "rounding": "pictures that cannot be told from the baseline's",
            "visible": "its pictures differ visibly", "too few": "too few pictures to tell",
            "unknown": "nobody knows how good its pictures are"}  # fmt: skip
LEAST_SAVED = 0.01  # of the memory: for less nobody sets anything, however exactly it was measured


@dataclass(frozen=True)
class Claim:
    """A point against the baseline. ``fewer_bytes``: the share of memory that it saves, ``None`` in the noise."""

    point: Point
    speedup: Speedup
    fewer_bytes: float | None
    among: Candidates

    @property
    def is_faster(self) -> bool:
        """Outside the noise."""
        return self.speedup.is_clear and self.speedup.ratio > 1

    @property
    def is_slower(self) -> bool:
        return self.speedup.is_clear and self.speedup.ratio < 1

    @property
    def saves_memory(self) -> bool:
        """Outside the noise, and enough to matter."""
        return self.fewer_bytes is not None and self.fewer_bytes >= LEAST_SAVED

    @property
    def ratio(self) -> str:
        """``1.97× [1.83, 2.11]``; without an interval the ratio alone."""
        if self.point.is_baseline or self.speedup.ratio is None:
            return NONE
        ends = f" [{', '.join(map(digits, self.speedup.interval))}]" if self.speedup.interval else ""
        return f"{digits(self.speedup.ratio)}×{ends}"

    @property
    def memory(self) -> str:
        """``34 % less``, ``12 % more``, or that there is no difference outside the noise."""
        if self.point.is_baseline or self.point.values[MEMORY] is None:
            return NONE
        if self.fewer_bytes is None:
            return "no difference"
        return f"{digits(abs(self.fewer_bytes) * 100, 2)} % {'less' if self.fewer_bytes > 0 else 'more'}"

    @property
    def quality(self) -> str:
        """In percent, and what it is in percent of."""
        if self.point.told == "same":
            return "identical"
        value = self.point.values[QUALITY]
        if value is None:
            return "not scored"
        family = self.among.metric.partition(".")[0]
        name = "" if family == "quality" else f" {NAMES.get(family, family)}"
        return f"{digits(value)} %{name}"

    @property
    def sure(self) -> str:
        """How sure the ratio and the pictures are."""
        if self.point.is_baseline:
            return NONE
        parts = ["95 % interval" if self.speedup.interval else f"no interval: {self.speedup.why}"]
        parts += [PICTURES[self.point.told]] if self.point.told in ("too few", "unknown") else []
        return "; ".join(parts)

    @property
    def gains(self) -> str:
        """What it gains, for a sentence: speed and memory outside the noise, and what its pictures are."""
        parts = [f"{self.ratio} faster"] if self.is_faster else []
        name = recommend_text.quantity(MEMORY, self.among)
        parts += [f"{self.memory} {name}"] if self.saves_memory else []
        return ", ".join([*parts, PICTURES[self.point.told]])


def of(point: Point, baseline: Point, among: Candidates) -> Claim:
    """The claim of a point of the same choice."""
    return Claim(point, point.against(baseline), _fewer(point, baseline), among)


def _fewer(point: Point, baseline: Point) -> float | None:
    mine, its = point.values[MEMORY], baseline.values[MEMORY]
    if not mine or not its or abs(its - mine) <= max(point.noise[MEMORY], baseline.noise[MEMORY]):
        return None
    return 1 - mine / its
