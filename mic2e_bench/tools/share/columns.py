"""One row a trial: the columns with their types, units and meanings, the same whatever the records have.

The names and units are those of ``mic2e_bench.load()``. A setting is a column of its own: true or false, a number, or a
text as a params file has it (``512x768``). What this version has no column for (settings of other versions, scores of
regions) is in ``other_settings`` (JSON) and ``quality_scores`` (a list).
"""

from __future__ import annotations

import functools
import json
import math
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from mic2e_bench import texts
from mic2e_bench.catalog import registry
from mic2e_bench.machine import environment
from mic2e_bench.plan import protocol
from mic2e_bench.plan.settings import show
from mic2e_bench.records.record import Record
from mic2e_bench.report import frame

STRING, BOOL, INTEGER, DOUBLE, TIME, SAMPLES = "string", "bool", "int64", "double", "timestamp", "list<double>"
LARGEST = {INTEGER: 2**63 - 1, DOUBLE: sys.float_info.max}  # a record may hold any number
COUNTS = ("steps", "batch")  # settings that are whole numbers
SCORE = {"metric": STRING, "value": DOUBLE, "low": DOUBLE, "high": DOUBLE, "unit": STRING, "better": STRING,
         "against": STRING, "backbone": STRING, "floor": DOUBLE, "told": STRING, "n": INTEGER}  # fmt: skip
IMAGE = {"input": STRING, "seed": INTEGER, "index": INTEGER, "file": STRING, "sha256": STRING}
PART = {"name": STRING, "seconds": SAMPLES}
NESTED = {"quality_scores": SCORE, "images": IMAGE, "component_s": PART}  # lists of mappings with these keys


class Column(NamedTuple):
    """``type`` is one of those above, or ``nested`` (see ``NESTED``)."""

    name: str
    type: str
    unit: str
    about: str


@functools.cache
def every() -> tuple[Column, ...]:
    """All columns in their order."""
    found = [*_trial(), *map(_setting, registry.toggles().values()), *_numbers(), *_raw(), *_environment()]
    names = [column.name for column in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise AssertionError(f"two columns have one name: {twice}")
    return tuple(found)


def _trial() -> Iterator[Column]:
    about = {
        "study": "the study's name", "id": "the trial's identity, a hash of its content", "label": "the trial's name",
        "pipeline": "what was measured", "model": "which weights; stand-ins say that they are",
        "status": "ok, not_applied, refused, unavailable, oom, skipped, timeout, invalid or error",
        "reason": "why it is not ok", "path": "the record's file, from the results folder",
        "content_sha256": "hash of the record's content", "stand_in": "every stand-in behind the row; empty: none",
        "disturbed": "what other work went on beside it; empty: none", "backbone": "what learned metrics measured with",
        "rounds": "samples with the same name here took turns",
    }  # fmt: skip
    yield from (Column(name, STRING, "", text) for name, text in about.items())
    yield Column("baseline", BOOL, "", "whether the study's others are measured against it")
    yield Column("deterministic", BOOL, "", "whether a repeat made the same image")
    yield from (Column(name, STRING, "", f"of the protocol: {key.about}") for name, key in protocol.VARIED.items())
    yield Column("other_settings", STRING, "", "settings of the record that this version does not know, as JSON")


def _setting(toggle: Any) -> Column:
    kinds = {bool: BOOL, float: DOUBLE}
    kind = INTEGER if toggle.name in COUNTS else kinds.get(type(toggle.default), STRING)
    kind = STRING if kind == BOOL and toggle.values.count("|") > 1 else kind  # it may be a number, too
    return Column(toggle.name, kind, "", f"setting: {toggle.values}")


def _numbers() -> Iterator[Column]:
    for name, metric in frame.OF_RECORD.items():
        yield Column(name, DOUBLE, metric.unit, metric.about)
    yield Column("memory_noise_bytes", DOUBLE, "B", "by which two peaks of the same work may differ (95 %)")
    yield Column("first_call_s", DOUBLE, "s", "seconds of the first call")
    yield Column("load_s", DOUBLE, "s", "seconds of loading")
    for name, metric in registry.metrics().items():
        if metric.of != "record":
            yield Column(name, DOUBLE, metric.unit, f"against the baseline: {metric.about}")
            yield Column(f"{name}.truth", DOUBLE, metric.unit, f"against the known answer: {metric.about}")


def _raw() -> Iterator[Column]:
    yield Column("latency_samples_s", SAMPLES, "s", "seconds of each timed call")
    yield Column("placebo_samples_s", SAMPLES, "s", "of a baseline: seconds of a second one in the same rounds")
    yield Column("sample_builds", "list<int64>", "", "which fresh build each timed call is of")
    yield Column("component_s", "nested", "s", "seconds in each component, in a call that is watched")
    yield Column("quality_scores", "nested", "", "every score, with its interval and its noise")
    yield Column("images", "nested", "", "the pictures, relative to the study's folder")


def _environment() -> Iterator[Column]:
    yield Column("started", TIME, "UTC", "when the measurement began")
    yield Column("finished", TIME, "UTC", "when it ended")
    for name in ("host", "device", "driver", "python", "git"):
        yield Column(f"machine_{name}", STRING, "", f"{name} of the machine that measured it")
    for name in environment.PACKAGES:
        yield Column(f"version_{name}", STRING, "", f"installed version of {name}")


def row(one: Record, path: Path, results: Path) -> dict[str, Any]:
    """The values of a record for ``every()`` column; ``None`` where it has none."""
    known, where = registry.toggles(), one.environment
    found = frame.row(one, path.relative_to(results).as_posix())
    found |= {f"machine_{name}": where.get(name) for name in ("host", "device", "driver", "python", "git")}
    found |= {f"version_{name}": version for name, version in (where.get("packages") or {}).items()}
    others = {name: value for name, value in one.settings.items() if name not in (*known, *protocol.VARIED)}
    found |= {
        "content_sha256": one.digest,
        "rounds": one.rounds,
        "other_settings": json.dumps(others, sort_keys=True) if others else None,
        "latency_samples_s": one.latency_s,
        "placebo_samples_s": one.placebo_s,
        "sample_builds": one.builds,
        "component_s": [{"name": name, "seconds": seconds} for name, seconds in one.component_s.items()],
        "quality_scores": [_score(key, entry) for key, entry in one.quality.items()],
        "images": one.images,
        "started": where.get("started"),
        "finished": where.get("finished"),
    }
    return {column.name: _as(column.type, found.get(column.name), column.name) for column in every()}


def _score(key: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    low, high = entry["ci95"] or (None, None)
    return {**entry, "metric": key, "low": low, "high": high}


def _as(kind: str, value: Any, name: str) -> Any:
    """A value in the type of its column; ``None`` where it is nothing of that type."""
    if kind == "nested":
        keys = NESTED[name]
        return [{key: _as(of, each.get(key), key) for key, of in keys.items()} for each in value]
    if kind.startswith("list<"):
        return [_as(kind[5:-1], each, name) for each in value]
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if kind == BOOL:
        return value if isinstance(value, bool) else None
    if kind in (INTEGER, DOUBLE):
        return _number(kind, value)
    return _time(value) if kind == TIME else texts.plain(show(value))


def _number(kind: str, value: Any) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > LARGEST[kind]:
        return None
    return int(value) if kind == INTEGER else float(value)


def _time(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None
