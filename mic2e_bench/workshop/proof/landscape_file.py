"""A sealed landscape: a full grid of measured trials in one small file, on which searches can be replayed.

``results/landscape/<study>.json.gz``: the settings of each trial, its raw latencies (s), memory (bytes) and quality,
the environment and the stand-ins; no images.
"""

from __future__ import annotations

import gzip
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mic2e_bench import files
from mic2e_bench.catalog import registry
from mic2e_bench.errors import BadInput
from mic2e_bench.plan.params import Study
from mic2e_bench.records import comparable, record
from mic2e_bench.records.record import Record
from mic2e_bench.report import frame
from mic2e_bench.tools.recommend.recommend import QUALITY
from mic2e_bench.tools.tune import hypervolume, space_file
from mic2e_bench.tools.tune.measuring import Columns
from mic2e_bench.tools.tune.space import GridPoint, Space

VISIT_S = 3.0  # around a build: its process, loading, the scorer's process; measured on the bundled models
SCHEMA, PART = 1, 2  # measured whole; in part (``landscape_part.py``)


def pack(study: Study, results: Path) -> dict[str, Any]:
    """The content of a landscape from the records of a study with ``vary:``. Raises ``BadInput`` where one lacks."""
    wanted = [trial for trial in study.trials if trial.id not in study.refused]
    found = [record.read_if_there(record.path_of(results, study.name, trial.id)) for trial in wanted]
    if "vary" not in study.params or None in found:
        raise BadInput(
            f"{study.name}: {found.count(None)} of {len(found)} trials have no record in {results}; a landscape is a "
            "whole 'vary:'. Measure the rest: mic2e-bench run."
        )
    comparable.require_one(found)
    baseline = next(one for one in found if one.id == study.baseline.id)
    columns = Columns.of(baseline)
    settings, grid = study.baseline.content["settings"], study.params["vary"]
    whole = all(settings[name] in values for name, values in grid.items())  # the baseline is one of the grid's points
    return {
        "schema": SCHEMA,
        "study": study.name,
        "params": dict(study.params),
        "memory": columns.memory,
        "metric": columns.metric,
        "stand_ins": frame.row(baseline, "")["stand_in"],
        "environment": {**baseline.environment, "log": None},
        "baseline": _row(baseline, baseline.settings),
        "rows": [_row(one, grid) for one in found if whole or one is not baseline],
    }


def _row(one: Record, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a search needs of a record, unrounded."""
    quality = {
        key: {name: entry.get(name) for name in ("value", "floor")}
        for key, entry in one.quality.items()
        if "." not in key
    }
    memory = {name: one.memory.get(name) for name in record.MEMORY}
    return {
        "settings": {name: one.settings[name] for name in settings},
        "status": one.status,
        "reason": one.reason,
        "latency_s": one.latency_s,
        "memory": {name: value for name, value in memory.items() if value is not None},
        "quality": quality,
    }


def write(content: Mapping[str, Any], folder: Path) -> Path:
    """Store a landscape under its study's name; the same content gives the same bytes."""
    path = Path(folder) / f"{content['study']}.json.gz"
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    files.write_whole(path, gzip.compress(text.encode(), mtime=0))
    return path


def load(path: Path) -> Landscape:
    """A stored landscape. Raises ``BadInput`` for a file that is none."""
    try:
        content = json.loads(gzip.decompress(Path(path).read_bytes()))
        if content["schema"] == PART:
            from mic2e_bench.workshop.proof import landscape_part

            return landscape_part.landscape(content)
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']!r}; this version reads {SCHEMA} and {PART}")
        return _landscape(content)
    except FileNotFoundError:
        raise BadInput(f"{path}: no such landscape.") from None
    except (OSError, EOFError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: no landscape of mic2e-bench: {type(error).__name__} {error}") from None


@dataclass(frozen=True)
class Known(Space):
    """A space of which exactly the points of a table can be measured."""

    values: Mapping[GridPoint, tuple[float, ...] | None] = field(default_factory=dict)

    def why_not(self, point: GridPoint) -> str:
        return "" if point in self.values else "not in the landscape"


@dataclass(frozen=True)
class Landscape:
    """``space.values`` has the costs of every point (lower is better), or ``None`` where measuring it failed.

    The yardstick is the share of the box from ``ideal`` to ``reference`` that points dominate: from the best value of
    each quantity on the true front to 10 % of the front's range beyond its worst, but a quality of 0 % at most.
    """

    name: str
    space: Known
    names: tuple[str, ...]  # of the quantities
    about: Mapping[str, Any]  # stand-ins and environment
    builds: Mapping[GridPoint, str] = field(repr=False)  # what each point's process is built of
    build_s: Mapping[str, tuple[float, float]] = field(repr=False)  # seconds of a visit, and of a new shape
    shapes: Mapping[GridPoint, Any] = field(repr=False)
    noise: Mapping[str, np.ndarray] = field(repr=False)  # of logarithms: build, call, memory, inputs

    @classmethod
    def whole(
        cls, name: str, space: Known, names: tuple[str, ...], about: Mapping[str, Any], calls: Sequence[float] = (0.0,)
    ) -> Landscape:
        """One that was measured whole; ``calls`` is the noise of its calls, as logarithms. It knows of no other."""
        builds = {point: build_of(space, point) for point in space.values}
        noise = {"build": np.zeros(1), "call": np.array(calls), "memory": np.zeros(1), "inputs": np.zeros(1)}
        return cls(name, space, names, about, builds, dict.fromkeys(builds.values(), (VISIT_S, 0.0)),
                   {point: shape_of(space, point) for point in space.values}, noise)  # fmt: skip

    @property
    def costs(self) -> np.ndarray:
        """Of every point that could be measured, shape (n, k)."""
        return np.array([value for value in self.space.values.values() if value is not None])

    @property
    def limits(self) -> list[float]:
        """The worst costs that are of any use: a quality of 0 %."""
        return [0.0 if name == QUALITY else np.inf for name in self.names]

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """``reference`` and ``ideal``."""
        useful = self.costs[(self.costs <= self.limits).all(axis=1)]
        reference, ideal = hypervolume.frame(useful)
        return np.minimum(reference, self.limits), ideal


def _landscape(content: Mapping[str, Any]) -> Landscape:
    pipeline = registry.pipeline(content["params"]["pipeline"])
    axes = space_file.axes(content["params"]["vary"], pipeline, content["study"])
    columns = Columns(content["memory"], content["metric"])
    space = Space(pipeline, content["baseline"]["settings"], axes)
    values = {space.nearest(row["settings"]): _costs(row, columns) for row in content["rows"]}
    if len(values) != len(content["rows"]) or not any(values.values()):
        raise ValueError("its rows are not the points of its grid")
    known = Known(pipeline, space.baseline, axes, values)
    about = {name: content[name] for name in ("stand_ins", "environment")}
    calls = [np.log(np.array(row["latency_s"]) / statistics.median(row["latency_s"]))
             for row in content["rows"] if row["latency_s"]]  # fmt: skip
    return Landscape.whole(content["study"], known, tuple(columns.names), about, np.concatenate(calls))


def _costs(row: Mapping[str, Any], columns: Columns) -> tuple[float, ...] | None:
    """Seconds, bytes and the negative quality in percent; ``None`` where measuring failed."""
    memory, entry = row["memory"].get(columns.memory), row["quality"].get(columns.metric, {})
    value = entry.get("value") if columns.metric else 0.0
    if row["status"] != "ok" or not row["latency_s"] or memory is None or value is None:
        return None
    scale = 1.0 if columns.metric == "quality" else 100.0
    costs = (statistics.median(row["latency_s"]), float(memory), -scale * value)
    return costs[: len(columns.names)]


def build_of(space: Space, point: GridPoint) -> str:
    """What a process is built of: all but what a call is given."""
    toggles = registry.toggles()
    found = {name: value for name, value in space.settings(point).items() if toggles[name].phase.name != "CALL"}
    return str(sorted(found.items()))


def shape_of(space: Space, point: GridPoint) -> tuple[Any, ...]:
    """What a compiler or an export sees of a call."""
    settings = {**space.baseline, **space.settings(point)}
    return str(settings.get("resolution")), settings.get("batch", 1), settings.get("guidance", 0) > 1
