"""First guesses of a search: the baseline, what the guides' presets say, and what is one word away from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mic2e_bench.plan import presets
from mic2e_bench.tools.tune.space import OFF, GridPoint, Space


def guesses(space: Space) -> dict[str, GridPoint]:
    """First guesses that can be measured, by name: the points nearest to the baseline and to each preset."""
    asked: dict[str, Mapping[str, Any]] = {"baseline": space.baseline}
    for name in presets.load():
        if presets.covers(name, space.pipeline):
            asked[name] = presets.settings_of(name, space.pipeline, name)
    found: dict[GridPoint, str] = {}
    for name, settings in asked.items():
        point = space.nearest(settings)
        if not space.why_not(point):
            found.setdefault(point, name)
    return {name: point for point, name in found.items()}


def around(space: Space, points: Sequence[GridPoint]) -> Iterator[GridPoint]:
    """What differs from points in one word each: the pairs from which is seen what a word does by itself."""
    for point in points:
        mine = {axis.name: max(index, 0) for axis, index in zip(space.axes, point, strict=True)}
        for axis, index in zip(space.axes, point, strict=True):
            if index != OFF and not axis.is_ordered:
                for value in range(len(axis.values)):
                    changed = {**mine, axis.name: value}
                    yield space.point(lambda one, changed=changed: changed[one.name])
