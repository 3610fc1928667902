"""What a point of a throughput study left: one file, ``results/STUDY/throughput/ID.json``, written once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mic2e_bench import documents, files, schema, seal, within
from mic2e_bench.paths import EVIDENCE, SERVED, of_study
from mic2e_bench.plan.trial import fingerprint, identifying
from mic2e_bench.tools.throughput.kind import Point
from mic2e_bench.tools.throughput.study import ThroughputStudy

SCHEMA = 1
TEXT, MAPPING = {"type": "string"}, {"type": "object"}
SHAPE = schema.compiled(
    {
        "type": "object",
        "required": ["schema", "kind", "id", "study", "label", "status", "reason", "asked", "trial", "environment"],
        "properties": {
            "schema": {"type": "integer", "minimum": SCHEMA, "maximum": SCHEMA},
            **dict.fromkeys(("kind", "id", "study", "label", "status", "reason"), TEXT),
            **dict.fromkeys(("asked", "environment"), MAPPING),
            "trial": {
                "type": "object",
                "required": ["pipeline", "model", "settings"],
                "properties": {"pipeline": TEXT, "model": MAPPING, "settings": MAPPING},
            },
            "runs": {"type": "array", "items": MAPPING},
        },
    }
)


@dataclass(frozen=True)
class ThroughputRecord:
    """A record as everybody reads it; ``raw`` is all that its file says."""

    kind: str
    id: str
    study: str
    label: str
    status: str
    reason: str
    asked: Mapping[str, Any]
    runs: Sequence[Mapping[str, Any]]
    environment: Mapping[str, Any]
    raw: Mapping[str, Any]
    pipeline: str
    model: Mapping[str, Any]
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> ThroughputRecord:
        """The record with this content, which has the shape of one."""
        names = ("kind", "id", "study", "label", "status", "reason", "asked", "environment")
        served = {name: content["trial"][name] for name in ("pipeline", "model", "settings")}
        return cls(**{name: content[name] for name in names}, **served, runs=content.get("runs", []), raw=content)

    @property
    def digest(self) -> str:
        """The hash of its content."""
        return self.raw.get(seal.KEY) or seal.digest(self.raw)


def identity(study: ThroughputStudy, point: Point) -> str:
    """A hash of the kind, of what is asked and of what is served."""
    return _identity(study.kind.name, point.asked, study.study.baseline.content)


def _identity(kind: str, asked: Mapping[str, Any], trial: Mapping[str, Any]) -> str:
    return fingerprint({"kind": kind, "asked": dict(asked), "trial": identifying(trial)})


def path_of(results: Path, study: str, id: str) -> Path:
    """Where a record lies, there or not. Raises ``BadInput`` for a study whose folder leads out of the results."""
    return of_study(results, study) / SERVED / f"{id}.json"


def write(results: Path, content: Mapping[str, Any]) -> ThroughputRecord:
    """Write a record whole; returns it as it will be read. Raises ``files.CannotWrite``."""
    path, written = path_of(results, content["study"], content["id"]), seal.sealed({"schema": SCHEMA, **content})
    files.write_whole(path, files.as_json(written), through_links=False)
    return ThroughputRecord.of(documents.json_value(files.as_json(written)))


def read(path: Path) -> ThroughputRecord | None:
    """The record at ``path``; ``None`` where there is none, or it is not as it was written."""
    content = seal.read(path)
    return ThroughputRecord.of(content) if content and not SHAPE(content) else None


def of_folder(results: Path, study: str) -> list[ThroughputRecord]:
    """Every whole record of a study, by label."""
    found = (read(path) for path in _paths(Path(results), of_study(results, study)))
    return sorted((one for one in found if one and one.study == study), key=lambda one: one.label)


def everywhere(results: Path) -> dict[Path, ThroughputRecord]:
    """Every whole record under ``results`` by its path: of the studies, then of those that are kept as evidence."""
    return {path: one for path in _everywhere(Path(results)) if (one := read(path))}


def digests(results: Path) -> dict[str, str]:
    """The hashes of all these records by their paths relative to ``results``, as ``made_from`` keeps them."""
    return {path.relative_to(results).as_posix(): one.digest for path, one in everywhere(results).items()}


def problems(results: Path) -> tuple[int, list[str]]:
    """How many records there are under ``results``, and a line for each that is not as it was written."""
    found, count = [], 0
    for path in _everywhere(Path(results)):
        one = read(path)
        count += one is not None
        if one is None:
            found.append(f"{path} is damaged: no throughput record as it was written")
        elif path.stem != one.id or one.id != _identity(one.kind, one.asked, one.raw["trial"]):
            found.append(f"{path}: what it asked is not what its identity is a hash of")
        elif one.study != path.parent.parent.name:
            found.append(f"{path}: it is of study '{one.study}'")
    return count, found


def _everywhere(results: Path) -> Iterator[Path]:
    for pattern in ("*", f"{EVIDENCE}/*", f"{EVIDENCE}/*/*"):
        for folder in sorted(results.glob(pattern)):
            yield from _paths(results, folder)


def _paths(results: Path, study: Path) -> list[Path]:
    """The files of a study that may be records; none where a link leads out of the results."""
    folder = study / SERVED
    return [] if within.is_outside(folder, results) else sorted(folder.glob("*.json"))
