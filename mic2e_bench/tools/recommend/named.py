"""The presets among points: a setting that a preset resolves to, in every toggle, has its name behind its label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.errors import BadInput
from mic2e_bench.plan import presets
from mic2e_bench.plan.settings import resolve, show
from mic2e_bench.tools.recommend.point import Point


def with_presets(points: Sequence[Point]) -> list[Point]:
    """The points; the label of one that is a preset says so: ``steps=8 (BALANCED)``."""
    known = {name: whole_presets(registry.pipeline(name)) for name in {point.row["pipeline"] for point in points}}
    return [_named(point, known[point.row["pipeline"]]) for point in points]


def whole_presets(pipeline: Pipeline) -> dict[str, dict[str, str]]:
    """Every setting that each preset of a pipeline resolves to, as people write it; none outside a workbench.

    Where a preset does not name the device it is for any.
    """
    found = {}
    try:
        for name in presets.load():
            if presets.covers(name, pipeline):
                given = presets.settings_of(name, pipeline, str(presets.path()))
                whole = resolve(given, pipeline, name)
                found[name] = {key: show(whole[key]) for key in whole if key != "device" or key in given}
    except BadInput:  # no presets file, or one that a plan will complain of
        return {}
    return found


def _named(point: Point, known: Mapping[str, Mapping[str, Any]]) -> Point:
    names = tuple(name for name, whole in known.items() if _is(point.row, whole))
    unsaid = ", ".join(name for name in names if name not in point.label)
    return replace(point, label=f"{point.label} ({unsaid})" if unsaid else point.label, presets=names)


def _is(row: Mapping[str, Any], whole: Mapping[str, str]) -> bool:
    """Whether no setting differs; one that a record of an earlier version does not have is not known to be equal."""
    return all(key in row and show(row[key]) == value for key, value in whole.items())
