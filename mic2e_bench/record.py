"""Everything that one trial left, in one JSON file that is written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mic2e_bench.errors import BadInput
from mic2e_bench.trial import Trial

SCHEMA = 1
STATUSES = ("ok", "not_applied", "refused", "unavailable", "oom", "timeout", "error")
MEASURED = ("ok", "not_applied")  # a trial with such a record is not measured again
MEMORY = (
    "weights_bytes",
    "load_peak_rss_bytes",
    "peak_rss_bytes",
    "peak_vram_allocated_bytes",
    "peak_vram_reserved_bytes",
    "peak_device_bytes",
)


PARTS = ("study", "label", "reason", "receipts", "timing", "memory", "images", "quality", "environment")


class Damaged(ValueError):
    """A file that is not a record of this project, or is one no longer."""


def make(trial: Trial, status: str, reason: str = "", **parts: Any) -> dict[str, Any]:
    """A record of schema 1; parts that the trial did not get to are empty, and memory it did not read is null."""
    empty_timing = {"load_s": None, "first_call_s": None, "latency_s": [], "step_s": [], "component_s": {}}
    return {
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
        "quality": {},
        "environment": parts.get("environment", {}),
    }


def path_of(results: Path, study: str, trial_id: str) -> Path:
    return Path(results) / study / f"{trial_id}.json"


def write(results: Path, record: Mapping[str, Any]) -> Path:
    """Write a record in one step: a reader sees the old file or the new one, never a part."""
    path = path_of(results, record["study"], record["id"])
    write_whole(path, json.dumps(record, indent=1, ensure_ascii=False).encode() + b"\n")
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Replace ``path`` atomically. Raises ``BadInput`` where the folder cannot be written or the disk is full."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as part:
            try:
                part.write(content)
                part.flush()
                os.fsync(part.fileno())
                os.chmod(part.name, 0o644)
                os.replace(part.name, path)
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise BadInput(
            f"cannot write {path}: {error.strerror}. Give a folder that can be written: --results DIR."
        ) from error


def read(path: Path) -> dict[str, Any]:
    """Read one record. Raises ``Damaged`` naming the file and what is wrong with it."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"{path} is damaged: {error}") from None
    if not isinstance(record, dict) or not {"schema", "id", "trial", "status"} <= set(record):
        raise Damaged(f"{path} is no record of mic2e-bench")
    if record["schema"] != SCHEMA:
        raise Damaged(f"{path} has schema {record['schema']!r}; this version reads {SCHEMA}")
    if record["id"] != path.stem:
        raise Damaged(f"{path} holds the record of trial {record['id']}")
    if missing := [part for part in PARTS if part not in record]:
        raise Damaged(f"{path} is damaged: it has no {', '.join(missing)}")
    return record


def read_if_there(path: Path) -> dict[str, Any] | None:
    """The record at ``path``; ``None`` where there is none or it is damaged (it will then be measured anew)."""
    try:
        return read(path)
    except (FileNotFoundError, NotADirectoryError, Damaged):
        return None
