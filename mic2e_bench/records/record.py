"""Everything that one trial left, in one JSON file that is written whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mic2e_bench import documents, files, schema, seal, statistics, texts, within
from mic2e_bench.catalog import registry
from mic2e_bench.errors import BadInput
from mic2e_bench.paths import is_name, of_study
from mic2e_bench.plan.trial import Trial

SCHEMA, SHAPE = 1, Path(__file__).with_name("schema.json")
STATUSES = ("ok", "not_applied", "refused", "unavailable", "oom", "skipped", "timeout", "invalid", "error")
MEMORY = (
    "weights_bytes",
    "load_peak_rss_bytes",
    "peak_rss_bytes",
    "peak_vram_allocated_bytes",
    "peak_vram_reserved_bytes",
    "peak_device_bytes",
)
IDENTITY = re.compile(r"[0-9a-f]{16}")  # of a trial, which its record is named after
TRIAL = ("pipeline", "model", "settings", "inputs", "protocol")
OWN = ("study", "id", "status", "receipts", "images", "environment")
NO_MEMORY, NO_INPUTS = dict.fromkeys(MEMORY), {"source": "bundled", "items": {}}
NO_SCORE = {"value": None, "ci95": None, "against": "", "backbone": None, "better": "", "unit": ""}
TIMES = ("load_s", "first_call_s", "calls_s", "import_s", "witnessed_s", "warmup_s", "energy_j", "rounds")

# from the schema in the key to the next one: a function that returns the record with what that schema added or renamed;
# it leaves ``id`` and ``trial`` alone, because the one is a hash of the other
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def _score(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A score with all its keys; an interval over few pictures, which older versions stored, covered 50 to 80 %."""
    few = (entry.get("n") or 0) < statistics.SCENES
    return {**NO_SCORE, **entry, **({"ci95": None} if few else {})}


class Damaged(BadInput):
    """A file that is not a record of this project, or is one no longer."""


class Edited(Damaged):
    """A record whose content is not the one that its hash is of."""


class Newer(Damaged):
    """A record of a schema that only a newer version reads: whole, and to be left alone."""


@dataclass(frozen=True)
class Record:
    """A record as everybody reads it: seconds and bytes; ``None`` where nothing was measured, or nobody asked then.

    It is data, never followed, and what it says is text in which nothing acts. ``raw`` is all that its file says, what
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
    builds: Sequence[int]  # by sample: which of the fresh builds of the rounds it is of
    placebo_s: Sequence[float]  # of a baseline: the seconds of a second one, in the same rounds
    placebo_failed: str | None  # why there are none
    visits: Sequence[Mapping[str, Any]]  # of a baseline: started, latency_s and disturbed of each later time
    warnings: Sequence[str]  # what is odd about the samples
    memory: Mapping[str, Any]  # by the names of ``MEMORY``, and ``phases``
    images: Sequence[Mapping[str, Any]]  # input, seed, file (relative to the study's folder), sha256
    cost: Mapping[str, Any]  # of a call's work, where the protocol asks for it
    quality: Mapping[str, Mapping[str, Any]]  # ``run/scoring/entries.py`` says what is in it
    environment: Mapping[str, Any]
    raw: Mapping[str, Any] = field(repr=False)
    sha256: str | None = field(default=None, compare=False)  # of its content, as its file states it

    @classmethod
    def of(cls, content: Mapping[str, Any], sha256: str | None = None) -> Record:
        """The record that a file's content is, which has the shape of one; ``sha256`` is what the file states."""
        timing, trial = content["timing"], content["trial"]
        return cls(
            **{name: content[name] for name in OWN},
            **{name: texts.one_line(content[name]) for name in ("label", "reason")},
            memory={**NO_MEMORY, **content["memory"]},
            quality={key: _score(entry) for key, entry in content["quality"].items()},
            **{name: trial[name] for name in TRIAL if name != "inputs"},
            inputs={**NO_INPUTS, **(trial["inputs"] or {})},
            **{name: timing.get(name) for name in TIMES},
            latency_s=timing.get("latency_s", ()),
            builds=timing.get("builds", ()),
            placebo_s=timing.get("placebo_s", ()),
            placebo_failed=timing.get("placebo_failed"),
            visits=timing.get("visits", ()),
            place_s=timing.get("load_parts_s", {}).get("place"),
            component_s=timing.get("component_s", {}),
            warnings=timing.get("warnings", ()),
            cost=content.get("cost", {}),
            raw=content,
            sha256=sha256,
        )

    @property
    def digest(self) -> str:
        """The hash of its content, stated or not."""
        return self.sha256 or seal.digest(self.raw)

    @property
    def pictures(self) -> list[Mapping[str, Any]]:
        """Every picture with its ``file`` and ``sha256``: the images, each with those that repeat it, if any."""
        floors = [each for image in self.images for each in image.get("floor", {}).values()]
        return [*(each for image in self.images for each in (image, image.get("again")) if each), *floors]

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
        "memory": {**NO_MEMORY, **parts.get("memory", {})},
        "images": parts.get("images", []),
        **({"cost": parts["cost"]} if "cost" in parts else {}),  # only where the protocol asks for it
        "quality": parts.get("quality", {}),
        "environment": parts.get("environment", {}),
    })  # fmt: skip


def path_of(results: Path, study: str, trial_id: str) -> Path:
    return of_study(results, study) / f"{trial_id}.json"


def paths(folder: Path) -> list[Path]:
    """The files of a study's folder that are records by their name, in its order; nothing where there is no folder."""
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else ()
    found = [Path(folder, name) for name in names if name.endswith(".json")]
    return [path for path in found if IDENTITY.fullmatch(path.stem) or os.path.isfile(path)]


def write(results: Path, record: Record) -> Path:
    """Write a record in one step: a reader sees the old file or the new one, never a part."""
    path = path_of(results, record.study, record.id)
    files.write_whole(path, files.as_json(seal.sealed(record.raw)), through_links=False)
    return path


def read(path: Path) -> Record:
    """Read one record; one of an older schema is brought to this one.

    Raises ``Damaged`` naming the file and what is wrong with it, ``Edited`` where it is not what was written, ``Newer``
    of a newer schema; ``FileNotFoundError``.
    """
    try:
        written = files.read_bytes(path, files.MOST_JSON)
        content = documents.json_value(written)
        if not isinstance(content, dict) or not {"schema", "id", "trial", "status"} <= set(content):
            raise Damaged(f"{path} is no record of mic2e-bench")
        is_whole, sha256 = seal.is_whole(content, written), content.pop(seal.KEY, None)
        content.pop(seal.MARK, None)
        content = _upgraded(content, path)  # a newer one may have a hash of another kind
        if not is_whole:
            why = f"its content is not the one that its {seal.KEY} is of" if sha256 else f"it has lost its {seal.KEY}"
            raise Edited(f"{path} was edited: {why}")
        if content["id"] != path.stem:
            raise Damaged(f"{path} holds the record of trial {content['id']!s:.60}")
        return _checked(content, path, sha256)
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise Damaged(f"{path} is a link to nothing") from None
        raise
    except Damaged:
        raise
    except OSError as error:
        raise Damaged(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise Damaged(f"{path} is damaged: {error}") from None


def _checked(content: dict[str, Any], path: Path, sha256: str | None) -> Record:
    """The record, where it is as ``schema.json`` beside this file says. Raises ``ValueError`` with what is wrong."""
    if said := schema.of(SHAPE)(content):
        raise ValueError(f"its {said.removeprefix('.')[:300]}")
    if content["status"] not in STATUSES:
        raise ValueError(f"unknown status '{content['status']}'; known: {', '.join(STATUSES)}")
    if not is_name(content["study"]):
        raise ValueError(f"it is of study '{content['study']}', which is no folder name")
    one = Record.of(content, sha256)
    for name, value in one.settings.items():
        if not registry.is_as_written(one.pipeline, name, value):
            raise ValueError(f"its settings: {name}: {str(value)[:60]!r} is nothing that a record has there")
    within.check(path, [picture["file"] for picture in one.pictures])
    return one


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
