"""The space of a params file: the settings that may vary, under which condition, and the points that can run."""

from __future__ import annotations

import functools
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.errors import BadInput
from mic2e_bench.plan import conflicts
from mic2e_bench.plan.settings import show

WHOLE = 40_000  # points up to which a space is looked at as a whole; of a larger one as many are drawn
OFF = -1  # the index of an axis whose condition is not met

GridPoint = tuple[int, ...]  # for each axis the index of its value, or OFF


@dataclass(frozen=True)
class Axis:
    """A setting with its values, or what follows ``head:`` in one of its values (``attention: sliced:4``).

    ``when`` maps other axes' names to the values under which this one means anything.
    """

    name: str
    setting: str
    values: tuple[Any, ...]
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    head: str = ""

    @property
    def choices(self) -> list[Any]:
        """The values as Optuna stores them: numbers and texts."""
        return [show(value) if isinstance(value, list) else value for value in self.values]

    @functools.cached_property
    def is_ordered(self) -> bool:
        """Whether the values are numbers, from small to large."""
        sizes = [magnitude(value) for value in self.values]
        return None not in sizes and sizes == sorted(sizes)


def magnitude(value: Any) -> float | None:
    """By what a value is ordered: a number's size, the pixels of a height and a width, nothing of a word's."""
    if isinstance(value, (list, tuple)):
        return float(math.prod(value))
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


@dataclass(frozen=True)
class Space:
    """Axes over a baseline (every setting, resolved). An axis stands below those that its condition names."""

    pipeline: Pipeline
    baseline: Mapping[str, Any]
    axes: tuple[Axis, ...]

    @functools.cached_property
    def size(self) -> int:
        """The number of points, at most: conflicts take some away, and of a very large space conditions do."""
        most = math.prod(len(axis.values) for axis in self.axes)
        return most if most > 10 * WHOLE else len(self._every())

    def settings(self, point: GridPoint) -> dict[str, Any]:
        """What a point sets; the rest is the baseline's."""
        found: dict[str, Any] = {}
        for axis, index in zip(self.axes, point, strict=True):
            if index != OFF:
                value = axis.values[index]
                found[axis.setting] = f"{axis.head}:{show(value)}" if axis.head else value
        return found

    def point(self, index: Callable[[Axis], int]) -> GridPoint:
        """The point that ``index`` chooses, axis by axis; axes whose condition is not met are off and not asked for."""
        chosen: dict[str, Any] = {}
        found = []
        for axis in self.axes:
            is_on = all(name in chosen and chosen[name] in values for name, values in axis.when.items())
            found.append(int(index(axis)) if is_on else OFF)
            if is_on:
                chosen[axis.name] = axis.values[found[-1]]
        return tuple(found)

    def why_not(self, point: GridPoint) -> str:
        """Why a point cannot be measured: a known conflict, or something that this machine lacks; else empty."""
        given, known = self.settings(point), registry.toggles()
        whole = {**self.baseline, **given}
        if reason := conflicts.find(whole, self.pipeline):
            return reason
        for name, value in given.items():
            if name in known and (text := _lacking(name, json.dumps(value), whole["device"])):
                return f"{name} {show(value)}: {text}"
        return ""

    @functools.cached_property
    def _looked_at(self) -> tuple[list[GridPoint], Counter]:
        """Points that can be measured, and the reasons of the others with their number."""
        found: list[GridPoint] = []
        reasons: Counter = Counter()
        for point in self._every() if self.is_whole else self._drawn():
            if reason := self.why_not(point):
                reasons[reason] += 1
            else:
                found.append(point)
        return found, reasons

    def _every(self) -> list[GridPoint]:
        """Every combination, axis by axis, those whose condition is not met left out."""
        found: list[dict[str, int]] = [{}]
        for axis in self.axes:
            found = [{**one, axis.name: index} for one in found for index in self._indices(axis, one)]
        return [tuple(one.values()) for one in found]

    def _indices(self, axis: Axis, chosen: Mapping[str, int]) -> Sequence[int]:
        for name, values in axis.when.items():
            above = next(one for one in self.axes if one.name == name)
            if chosen[name] == OFF or above.values[chosen[name]] not in values:
                return (OFF,)
        return range(len(axis.values))

    def _drawn(self) -> Iterable[GridPoint]:
        lengths = [len(axis.values) for axis in self.axes]
        rows = np.random.default_rng(0).integers(lengths, size=(WHOLE, len(lengths))).tolist()
        names = [axis.name for axis in self.axes]
        return dict.fromkeys(self._of(dict(zip(names, row, strict=True))) for row in rows)

    @property
    def points(self) -> list[GridPoint]:
        """Every point that can be measured; of a space with more than ``WHOLE`` points, a sample drawn evenly."""
        return self._looked_at[0]

    @property
    def refused(self) -> Counter:
        """The reasons why points cannot be measured, with the number of points."""
        return self._looked_at[1]

    @property
    def is_whole(self) -> bool:
        """Whether ``points`` are all there are."""
        return self.size <= WHOLE

    def _of(self, indices: Mapping[str, int]) -> GridPoint:
        return self.point(lambda axis: indices[axis.name])

    def nearest(self, settings: Mapping[str, Any]) -> GridPoint:
        """The point that is most like given settings; what they do not name is the baseline's.

        Numbers that are not in the space become the nearest one there; words become the baseline's, or the first.
        """

        def index(axis: Axis) -> int:
            asked = [place.get(axis.setting) for place in (settings, self.baseline)]
            return next((found for value in asked if (found := _index(axis, value)) is not None), 0)

        return self.point(index)


def _index(axis: Axis, value: Any) -> int | None:
    """The index of the value of an axis that a setting's value is, or for numbers is nearest to."""
    head, _, rest = value.partition(":") if isinstance(value, str) else ("", "", "")
    if axis.head:
        texts = [show(one) for one in axis.values]
        return texts.index(rest) if head == axis.head and rest in texts else None
    for one in (value, head):
        if one is not None and one in axis.values:
            return axis.values.index(one)
    size = magnitude(value)
    known = [(abs(there - size), index) for index, one in enumerate(axis.values)
             if size is not None and (there := magnitude(one)) is not None]  # fmt: skip
    return min(known)[1] if known else None


@functools.cache
def _lacking(name: str, value: str, device: str) -> str:
    """What this machine lacks for a value, which is given as JSON, a list too being a key then."""
    return registry.toggles()[name].missing(json.loads(value), device)


def require_points(space: Space, where: str) -> None:
    """Raises ``BadInput`` where nothing in a space can be measured."""
    if not space.points:
        reason, count = space.refused.most_common(1)[0]
        looked = sum(space.refused.values())
        raise BadInput(f"{where}: space: none of its {looked} points can be measured; {count} of them: {reason}.")
