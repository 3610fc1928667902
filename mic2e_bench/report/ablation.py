"""What each setting does alone and among the others: what the records of such trials say.

Speed-ups are expected to multiply. Two settings *help* each other where together they gain more than the product of
their own gains, *cancel* where they gain less, and *break* where each runs as asked alone and not together. Nothing is
claimed inside the noise: the 95 % interval of a speed-up must leave out 1. Help and cancel need the interval of the
ratio of two speed-ups, of four trials that were timed in the same rounds over six builds or more; without it the ratio
stands alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mic2e_bench import statistics
from mic2e_bench.plan.ablate import Changes, without
from mic2e_bench.records.comparable import unapplied
from mic2e_bench.records.ratios import speedup
from mic2e_bench.records.record import Record

HELP, CANCEL, BREAK, NEITHER = "help", "cancel", "break", "neither"


@dataclass(frozen=True)
class Ratio:
    """A ratio of medians of latency with its 95 % interval, and whether it is beyond the noise."""

    value: float
    ci95: tuple[float, float] | None
    is_clear: bool


@dataclass(frozen=True)
class Effect:
    """One setting: its speed-up alone, its speed-up as the last one added to the others, and how the two compare."""

    name: str
    value: Any
    alone: Ratio | None
    inside: Ratio | None
    interaction: str  # help, cancel, break, neither, or empty where it cannot be said
    why: str = ""


@dataclass(frozen=True)
class SettingPair:
    """Two settings: the speed-up of both, what their own would multiply to, and how the two compare."""

    names: tuple[str, str]
    together: Ratio | None
    expected: float | None
    interaction: str
    why: str = ""


class Ablation:
    """The records of a study with ``ablate``, found by their settings.

    ``idle`` are settings that are not in force even alone. Trials that hold them are compared with each other all the
    same, because the ratio of two owes nothing to what is in force in neither.
    """

    def __init__(self, baseline: Changes, best: Changes, records: Iterable[Record]) -> None:
        """``baseline`` is resolved; ``best`` holds what differs from it."""
        self.baseline, self.best = dict(baseline), dict(best)
        self.records = [(one.settings, one) for one in records]
        alone = {name: self.record({name: value}) for name, value in best.items()}
        self.idle = {name for name, one in alone.items() if one and set(unapplied(one)) == {name}}

    def record(self, point: Mapping[str, Any]) -> Record | None:
        """The record of the baseline with this point's settings."""
        wanted = {**self.baseline, **point}
        return next((one for settings, one in self.records if settings == wanted), None)

    def effects(self) -> list[Effect]:
        return [self._effect(name, value) for name, value in self.best.items()]

    def _effect(self, name: str, value: Any) -> Effect:
        base, added = self.record({}), self.record({name: value})
        best, rest = self.record(self.best), self.record(without(self.best, name))
        if name in self.idle:
            return Effect(name, value, None, None, "", _end(added))
        alone, inside = self._speedup(base, added), self._speedup(rest, best)
        if len(self.best) == 1:
            return Effect(name, value, alone, None, "", "it is the only setting")
        if self._ran(added) and self._ran(rest) and best and not self._ran(best):
            why = f"without it the others run as asked; with it: {_end(best)}"
            return Effect(name, value, alone, inside, BREAK, why)
        interaction, why = self._compared((rest, best), (base, added))
        if self.idle and inside:
            why += f" (among the others {', '.join(sorted(self.idle))} was not in force)"
        return Effect(name, value, alone, inside, interaction, why)

    def pairs(self) -> list[SettingPair]:
        """The pairs that were measured."""
        found = []
        for one, other in itertools.combinations(self.best.items(), 2):
            together = self.record(dict((one, other)))
            if together is not None:
                found.append(self._pair(one, other, together))
        return found

    def _pair(self, one: tuple[str, Any], other: tuple[str, Any], both: Record) -> SettingPair:
        base, first, second = self.record({}), self.record(dict([one])), self.record(dict([other]))
        names = (one[0], other[0])
        if idle := [name for name in names if name in self.idle]:
            return SettingPair(names, None, None, "", f"{' and '.join(idle)} was not in force even alone")
        gains = [self._speedup(base, first), self._speedup(base, second)]
        expected = gains[0].value * gains[1].value if all(gains) else None
        if self._ran(first) and self._ran(second) and not self._ran(both):
            return SettingPair(names, None, expected, BREAK, f"each runs as asked alone; together: {_end(both)}")
        # (first / both) / (base / second): what the second setting gains beside the first, over what it gains alone
        return SettingPair(names, self._speedup(base, both), expected, *self._compared((first, both), (base, second)))

    def _ran(self, one: Record | None) -> bool:
        """Whether a trial ran as asked, apart from what is idle anyway."""
        if one is None or not one.latency_s:
            return False
        return one.status == "ok" or (bool(unapplied(one)) and set(unapplied(one)) <= self.idle)

    def _speedup(self, slow: Record | None, fast: Record | None) -> Ratio | None:
        """Seconds of one over seconds of the other; ``None`` where one did not run as asked."""
        if not (self._ran(slow) and self._ran(fast)):
            return None
        value, ends, *_ = speedup(slow, fast)
        return Ratio(value, tuple(ends) if ends else None, _is_clear(ends))

    def _compared(self, inside: Sequence[Any], alone: Sequence[Any]) -> tuple[str, str]:
        """How a setting's speed-up among others compares with its speed-up alone, each given as (without, with)."""
        missing = [one for one in (*alone, *inside) if not self._ran(one)]
        if missing:
            return "", _end(missing[0]) if missing[0] else "a trial of the comparison has no record"
        value = speedup(*inside).ratio / speedup(*alone).ratio
        times = f"{value:.2f} times what it gains alone"
        if why := speedup(*inside).why or speedup(*alone).why or _not_together(*inside, *alone):
            return "", f"{times}, without an interval: {why}"
        seconds = [np.divide(one.latency_s, one.batch) for one in (inside[0], alone[1], inside[1], alone[0])]
        _, ends = statistics.over_builds(seconds[:2], seconds[2:], inside[0].raw["timing"]["builds"])
        if ends is None:
            return "", f"{times}, without an interval: fewer than {statistics.ENOUGH} builds"
        if not _is_clear(np.exp(ends)):
            return NEITHER, "inside the noise"
        return (HELP if value > 1 else CANCEL), times


def _not_together(first: Record, *others: Record) -> str:
    """Why samples are not of the same rounds and builds; empty where they are."""
    if not first.rounds or any(one.rounds != first.rounds for one in others):
        return "the four trials were not timed in the same rounds"
    builds = [one.raw["timing"].get("builds") for one in (first, *others)]
    if builds[0] is None or any(of != builds[0] for of in builds):
        return "the rounds were of one build"
    return ""


def _end(one: Record) -> str:
    status = one.status.replace("_", " ")
    return f"{status}: {one.reason}" if one.reason else status


def _is_clear(ends: Sequence[float] | None) -> bool:
    return ends is not None and not ends[0] <= 1 <= ends[1]
