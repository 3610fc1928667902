"""A landscape of which a part was measured: some points of each build of a ``space:``, and a model of the rest.

Every value of such a landscape is the model's, those of the measured points too, so that no point is on its front by a
lucky measurement. How far the model misses what was measured is the noise with which it is looked at.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mic2e_bench.catalog import registry
from mic2e_bench.errors import BadInput
from mic2e_bench.plan.params import Study
from mic2e_bench.records import record
from mic2e_bench.records.record import Record
from mic2e_bench.report import frame
from mic2e_bench.tools.recommend.point import QUANTITIES
from mic2e_bench.tools.tune import looking, space_file
from mic2e_bench.tools.tune.measuring import Columns, Measuring
from mic2e_bench.tools.tune.race import NEAR
from mic2e_bench.tools.tune.space import GridPoint, Space
from mic2e_bench.workshop.proof import landscape_model
from mic2e_bench.workshop.proof.landscape_file import VISIT_S, Known, Landscape, build_of, shape_of

SCHEMA = 2
LEAST = 50  # points, to fit a model to
IN_A_BUILD, SLOW, LOOKED = 22, 16, 60  # points of each build; of one that compiles; that are looked at once more
KEPT = ("latency_s", "first_call_s", "witnessed_s", "calls_s", "load_s")


def measure(study: Study, space: Space, results: Path) -> None:
    """Measure some points of each build, those that compile last, and a few once more with one input."""
    whole = Measuring(study, space, results)
    drawn = draw(whole)
    whole.run([whole.trial(point) for point in drawn])
    eager = [point for point in drawn if not _compiles(space, point)]
    chosen = np.random.default_rng(2).choice(len(eager), min(LOOKED, len(eager)), replace=False)
    once = Measuring(looking.ladder(study)[0], space, results)
    once.run([once.trial(eager[index]) for index in sorted(chosen)])


def draw(whole: Measuring) -> list[GridPoint]:
    """The points to measure, by a fixed seed; sizes rise within a build, so that none keeps a larger one's memory."""
    rng, found = np.random.default_rng(1), []
    for points in _builds(whole, whole.space.points).values():
        most = SLOW if _compiles(whole.space, points[0]) else IN_A_BUILD
        found += [points[index] for index in rng.choice(len(points), min(most, len(points)), replace=False)]

    def order(point: GridPoint) -> tuple[Any, ...]:
        settings = whole.trial(point).settings
        return (_compiles(whole.space, point), whole.trial(point).build_key, settings["resolution"], settings["batch"])

    return sorted(found, key=order)


def _compiles(space: Space, point: GridPoint) -> bool:
    settings = space.settings(point)
    return settings.get("compile", "none") != "none" or settings.get("engine", "torch") != "torch"


def _builds(whole: Measuring, points: Sequence[GridPoint]) -> dict[str, list[GridPoint]]:
    found: dict[str, list[GridPoint]] = {}
    for point in points:
        found.setdefault(whole.trial(point).build_key, []).append(point)
    return found


def pack(study: Study, space: Space, results: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a landscape from what was measured of a space, ``asked`` as a params file says it.

    Raises ``BadInput`` where too little was measured.
    """
    whole, once = Measuring(study, space, results), Measuring(looking.ladder(study)[0], space, results)
    baseline = record.read_if_there(record.path_of(results, study.name, study.baseline.id))
    if not baseline:
        raise BadInput(f"{study.name}: its baseline has no record in {results}: measure it first.")
    columns = Columns.of(baseline)
    rows = [row for point in space.points if (row := _row(whole, point, columns.metric))]
    if len(rows) < LEAST:
        raise BadInput(f"{study.name}: {len(rows)} points of it have scored records in {results}: measure it first.")
    looks = [row for point in space.points if (row := _row(once, point, columns.metric))]
    return {
        "schema": SCHEMA,
        "study": study.name,
        "params": {**study.params, "space": asked},
        "memory": columns.memory,
        "metric": columns.metric,
        "stand_ins": frame.row(baseline, "")["stand_in"],
        "environment": {**baseline.environment, "log": None, "during": None},
        "baseline": {"settings": dict(baseline.settings)},
        "rows": rows,
        "looks": looks,
        "model": _model(space, rows, looks, columns.metric),
    }


def _model(space: Space, rows: Sequence[Mapping], looks: Sequence[Mapping], metric: str) -> dict[str, Any]:
    """What is made of the measured part: parameters of the models, what they miss, other noise, what builds take."""
    measured = [space.nearest(row["settings"]) for row in rows]
    fitted = {
        "latency": landscape_model.fit_seconds(space, measured, [_call_s(row) for row in rows]),
        "memory": landscape_model.fit_smooth(space, measured, np.log([row["memory_bytes"] for row in rows])),
        "quality": landscape_model.fit_smooth(space, measured, [_apart(row, metric) for row in rows]),
    }
    return {
        "parameters": {name: [_short(value, 7) for value in one.parameters] for name, one in fitted.items()},
        "misses": {name: list(map(_short, one.residuals)) for name, one in fitted.items()},
        "call": list(map(_short, _call_noise(rows))),
        "inputs": list(map(_short, _input_noise(rows, looks, metric))),
        "build_s": _build_s(space, rows, measured),
    }


def _short(value: float, digits: int = 4) -> float:
    return float(f"{value:.{digits}g}")


def _row(measuring: Measuring, point: GridPoint, metric: str) -> dict[str, Any] | None:
    trial = measuring.trial(point)
    one = record.read_if_there(record.path_of(measuring.results, measuring.study.name, trial.id))
    if one is None or one.status != "ok" or one.quality.get(metric, {}).get("value") is None:
        return None
    return {
        "settings": measuring.space.settings(point),
        **{name: getattr(one, name) for name in KEPT},
        "memory_bytes": _memory(one),
        "quality": {name: entry["value"] for name, entry in one.quality.items() if "." not in name},
    }


def _memory(one: Record) -> float:
    value = one.memory["peak_vram_reserved_bytes"]
    return one.memory["peak_rss_bytes"] if value is None else value


def landscape(content: Mapping[str, Any]) -> Landscape:
    """The landscape of such a content: a value of the models for every point."""
    pipeline = registry.pipeline(content["params"]["pipeline"])
    axes = space_file.axes(content["params"]["space"], pipeline, content["study"])
    space = Space(pipeline, content["baseline"]["settings"], axes)
    model = content["model"]
    given = {name: np.array(of) for name, of in model["parameters"].items()}
    took = np.exp(landscape_model.seconds(space, given["latency"]))
    memory, apart = (np.exp(landscape_model.smooth(space, given[name])) for name in ("memory", "quality"))
    values = np.stack([took, memory, np.clip(apart - NEAR, 0.0, None) - 100], axis=1).tolist()
    costs = {point: tuple(one) for point, one in zip(space.points, values, strict=True)}
    known = Known(pipeline, space.baseline, axes, costs)
    misses = {name: np.array(of) for name, of in model["misses"].items()}
    about = {"stand_ins": content["stand_ins"], "environment": content["environment"],
             "measured": len(content["rows"]), "misses": misses}  # fmt: skip
    builds = {point: build_of(space, point) for point in space.points}
    shapes = {point: shape_of(space, point) for point in space.points}
    build_s = {name: tuple(of) for name, of in model["build_s"].items()}
    noise = {"build": misses["latency"], "memory": misses["memory"],
             **{name: np.array(model[name]) for name in ("call", "inputs")}}  # fmt: skip
    return Landscape(content["study"], known, QUANTITIES, about, builds, build_s, shapes, noise)


def _call_s(row: Mapping[str, Any]) -> float:
    """Seconds of a call: what other work disturbs is only ever slower, so the faster of the two that were timed."""
    return min(statistics.median(row["latency_s"]), row["witnessed_s"])


def _apart(row: Mapping[str, Any], metric: str) -> float:
    scale = 1.0 if metric == "quality" else 100.0
    return float(np.log(max(100.0 - scale * row["quality"][metric], 0.0) + NEAR))


def _call_noise(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """How far the timed call lies from the watched one, which was another of the same build."""
    apart = np.log([row["latency_s"][0] / row["witnessed_s"] for row in rows])
    return (apart - np.median(apart)) / np.sqrt(2)


def _input_noise(rows: Sequence[Mapping[str, Any]], looks: Sequence[Mapping[str, Any]], metric: str) -> np.ndarray:
    """How far one picture's distance lies from that of all of them, as logarithms, without the mean."""
    every = {str(row["settings"]): row for row in rows}
    pairs = [(row, every[str(row["settings"])]) for row in looks if str(row["settings"]) in every]
    apart = np.array([_apart(one, metric) - _apart(other, metric) for one, other in pairs] or [0.0])
    return apart - apart.mean()


def _build_s(
    space: Space, rows: Sequence[Mapping[str, Any]], measured: Sequence[GridPoint]
) -> dict[str, tuple[float, float]]:
    """By build the seconds of a visit, and those of each new shape."""
    found = {build_of(space, point): (VISIT_S, 0.0) for point in space.points}
    calls = statistics.median(row["calls_s"] / _call_s(row) for row in rows)
    extra: dict[str, float] = defaultdict(float)
    shapes: dict[str, set[Any]] = defaultdict(set)
    for point, row in zip(measured, rows, strict=True):
        if _compiles(space, point):
            build = build_of(space, point)
            extra[build] += max(0.0, row["calls_s"] - calls * _call_s(row))
            shapes[build].add(shape_of(space, point))
    return {**found, **{build: (VISIT_S, seconds / len(shapes[build])) for build, seconds in extra.items()}}
