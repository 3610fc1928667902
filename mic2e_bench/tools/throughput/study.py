"""A params file with ``kind:`` becomes a throughput study: a pipeline as it is served, and the points to measure.

::

    study: pool-objectclear
    kind: pool
    pipeline: objectclear
    baseline: {steps: 4, resolution: 128}     # what is served; as in any other params file
    pool: {workers: [1, 2], ...}              # what this kind asks for, under its own name
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mic2e_bench.errors import BadInput, unknown
from mic2e_bench.plan import params
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.protocol import no_repeats
from mic2e_bench.tools.throughput.kind import Kind, Point, kinds

SHARED = ("study", "pipeline", "model", "inputs", "baseline", "protocol")


@dataclass(frozen=True)
class ThroughputStudy:
    """A resolved params file: its kind, the plain study of its baseline alone, and the points to measure."""

    kind: Kind
    study: Study
    points: tuple[Point, ...]


def read(path: str | Path, changes: tuple[str, ...] = ()) -> ThroughputStudy:
    """Read a params file, apply ``key=value`` changes and resolve it. Raises ``BadInput``."""
    return resolve(params.content(path, changes), str(path))


def resolve(content: Mapping[str, Any], where: str = "params") -> ThroughputStudy:
    """Resolve the content of a params file. Raises ``BadInput``."""
    content = {key: value for key, value in content.items() if value is not None}
    if "kind" not in content:
        raise BadInput(f"{where}: 'kind' is missing. Known: {', '.join(kinds())}. A file without it is for run.")
    if content["kind"] not in kinds():
        raise unknown("kind", content["kind"], kinds(), where)
    kind = kinds()[content["kind"]]
    for key in content:
        if key not in (*SHARED, "kind", kind.name):
            raise unknown("key", key, (*SHARED, "kind", kind.name), where)
    asked, place = content.get(kind.name, {}), f"{where}: {kind.name}"
    if not isinstance(asked, Mapping):
        raise BadInput(f"{place}: write a mapping; given: {asked!r}.")
    shared = {key: content[key] for key in SHARED if key in content}
    if "study" not in shared and "pipeline" in shared:
        shared["study"] = f"{kind.name}-{shared['pipeline']}"
    study = params.resolve_study(shared, where)
    if reason := study.refused.get(study.baseline.id):
        raise BadInput(f"{where}: baseline: {reason}")
    points = kind.points(asked, study, place)
    no_repeats([point.label for point in points], place)
    return ThroughputStudy(kind, study, tuple(points))
