"""Everything that one trial left, in one JSON file that is written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mic2e_bench import files
from mic2e_bench.plan.trial import Trial

SCHEMA = 1
STATUSES = ("ok", "not_applied", "refused", "unavailable", "oom", "skipped", "timeout", "invalid", "error")
MEMORY = (
    "weights_bytes",
    "load_peak_rss_bytes",
    "peak_rss_bytes",
    "peak_vram_allocated_bytes",
    "peak_vram_reserved_bytes",
    "peak_device_bytes",
)
SHAPES = {"trial": dict, "receipts": dict, "timing": dict, "memory": dict, "images": list, "quality": dict,
          "environment": dict, "study": str, "label": str, "reason": str}  # fmt: skip
TRIAL = ("pipeline", "model", "settings", "inputs", "protocol")
OWN = ("study", "id", "label", "status", "reason", "receipts", "memory", "images", "quality", "environment")
TIMES = ("load_s", "first_call_s", "calls_s", "import_s", "witnessed_s", "warmup_s", "energy_j", "rounds")

# from the schema in the key to the next one: a function that returns the record with what that schema added or renamed;
# it leaves ``id`` and ``trial`` alone, because the one is a hash of the other
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


class Damaged(ValueError):
    """A file that is not a record of this project, or is one no longer."""


class Newer(Damaged):
    """A record of a schema that only a newer version reads: whole, and to be left alone."""


@dataclass(frozen=True)
class Record:
    """A record as everybody reads it: seconds and bytes; ``None`` where nothing was measured, or nobody asked then.

    It is data, never followed: the names of its pictures stay in its folder. ``raw`` is all that its file says, what
    this version knows nothing of as well, so that a record that is written again loses nothing.
    """

    study: str
    id: str
    label: str
    status: str  # one of ``STATUSES``
    reason: str
    pipeline: str
    model: Mapping[str, Any]
    settings: Mapping[str, Any]
    inputs: Mapping[str, Any]
    protocol: Mapping[str, Any]
    receipts: Mapping[str, Mapping[str, Any]]  # by toggle: asked, seen, applied, how
    latency_s: Sequence[float]  # of each timed call
    load_s: float | None
    place_s: float | None  # of ``load_s``, to the device
    first_call_s: float | None
    calls_s: float | None  # all calls together
    import_s: float | None
    witnessed_s: float | None  # the call that was watched
    component_s: Mapping[str, Sequence[float]]  # in that call
    warmup_s: Sequence[float] | None
    energy_j: Sequence[float] | None  # of each timed call
    rounds: str | None  # samples of the same rounds have the same name here
    warnings: Sequence[str]  # what is odd about the samples
    memory: Mapping[str, Any]  # by the names of ``MEMORY``, and ``phases``
    images: Sequence[Mapping[str, Any]]  # input, seed, file (relative to the study's folder), sha256
    cost: Mapping[str, Any]  # of a call's work, where the protocol asks for it
    quality: Mapping[str, Mapping[str, Any]]  # ``run/scoring/entries.py`` says what is in it
    environment: Mapping[str, Any]
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Record:
        """The record that a file's content is; the errors of dictionaries and lists where it cannot be one."""
        timing, trial = content["timing"], content["trial"]
        made = cls(
            **{name: content[name] for name in OWN},
            **{name: trial[name] for name in TRIAL},
            **{name: timing.get(name) for name in TIMES},
            latency_s=timing.get("latency_s", ()),
            place_s=timing.get("load_parts_s", {}).get("place"),
            component_s=timing.get("component_s", {}),
            warnings=timing.get("warnings", ()),
            cost=content.get("cost", {}),
            raw=content,
        )
        for picture in made.pictures:
            if picture["file"].startswith("/") or ".." in picture["file"].split("/"):
                raise ValueError(f"a picture outside its folder: {picture['file']}")
        return made

    @property
    def pictures(self) -> list[Mapping[str, Any]]:
        """Every picture with its ``file`` and ``sha256``: the images, each with the one that repeats it, if any."""
        return [each for image in self.images for each in (image, image.get("again")) if each]

    @property
    def trial(self) -> Trial:
        """What was measured."""
        return Trial.of(self.study, self.label, self.raw["trial"])

    @property
    def batch(self) -> int:
        """Images of one call."""
        return self.settings.get("batch", 1)

    def with_quality(self, quality: Mapping[str, Mapping[str, Any]]) -> Record:
        """The same record with these scores."""
        return Record.of({**self.raw, "quality": quality})


def make(trial: Trial, status: str, reason: str = "", **parts: Any) -> Record:
    """A record of schema 1; parts that the trial did not get to are empty, and memory it did not read is null."""
    empty_timing = {"load_s": None, "first_call_s": None, "latency_s": [], "step_s": [], "component_s": {}}
    return Record.of({
        "schema": SCHEMA,
        "id": trial.id,
        "study": trial.study,
        "label": trial.label,
        "trial": trial.content,
        "status": status,
        "reason": reason,
        "receipts": parts.get("receipts", {}),
        "timing": {**empty_timing, **parts.get("timing", {})},
        "memory": {**dict.fromkeys(MEMORY), **parts.get("memory", {})},
        "images": parts.get("images", []),
        **({"cost": parts["cost"]} if "cost" in parts else {}),  # only where the protocol asks for it
        "quality": parts.get("quality", {}),
        "environment": parts.get("environment", {}),
    })  # fmt: skip


def path_of(results: Path, study: str, trial_id: str) -> Path:
    return Path(results) / study / f"{trial_id}.json"


def paths(folder: Path) -> list[Path]:
    """The files of a study's folder that are records by their name, in its order; nothing where there is no folder."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(".json") and entry.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [Path(folder, name) for name in sorted(names)]


def write(results: Path, record: Record) -> Path:
    """Write a record in one step: a reader sees the old file or the new one, never a part."""
    path = path_of(results, record.study, record.id)
    files.write_whole(path, json.dumps(record.raw, indent=1, ensure_ascii=False).encode() + b"\n")
    return path


def read(path: Path) -> Record:
    """Read one record; one of an older schema is brought to this one.

    Raises ``Damaged`` naming the file and what is wrong with it, of a newer schema ``Newer``; ``FileNotFoundError``.
    """
    try:
        record = files.read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise Damaged(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:  # no JSON, no UTF-8, or brackets without end
        raise Damaged(f"{path} is damaged: {error}") from None
    if not isinstance(record, dict) or not {"schema", "id", "trial", "status"} <= set(record):
        raise Damaged(f"{path} is no record of mic2e-bench")
    record = _upgraded(record, path)
    if record["id"] != path.stem:
        raise Damaged(f"{path} holds the record of trial {record['id']}")
    if wrong := [part for part, kind in SHAPES.items() if not isinstance(record.get(part), kind)]:
        raise Damaged(f"{path} is damaged: its {', '.join(wrong)} cannot be what was written")
    if missing := [part for part in TRIAL if part not in record["trial"]]:
        raise Damaged(f"{path} is damaged: its trial has no {', '.join(missing)}")
    try:
        return Record.of(record)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Damaged(f"{path} is damaged: {type(error).__name__} {error}") from None


def _upgraded(record: dict[str, Any], path: Path) -> dict[str, Any]:
    """The record in today's schema."""
    schema = record["schema"]
    if type(schema) is not int or schema < min(UPGRADES, default=SCHEMA):
        raise Damaged(f"{path} has schema {schema!r}, which never was")
    if schema > SCHEMA:
        raise Newer(f"{path} has schema {schema}, which a newer mic2e-bench wrote; this one reads up to {SCHEMA}")
    while record["schema"] < SCHEMA:
        older = record["schema"]
        try:
            record = {**UPGRADES[older](record), "schema": older + 1}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Damaged(f"{path} is damaged: no record of schema {older}: {type(error).__name__} {error}") from None
    return record


def read_if_there(path: Path) -> Record | None:
    """The record at ``path``; ``None`` where there is none or it cannot be read (a run then measures it anew)."""
    try:
        return read(path)
    except (FileNotFoundError, NotADirectoryError, Damaged):
        return None
