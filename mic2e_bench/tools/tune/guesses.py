"""First guesses of a search: the baseline, and what the guides' presets say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mic2e_bench.plan import presets
from mic2e_bench.tools.tune.space import GridPoint, Space


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
