"""The record that is to be reproduced, found by what a person wrote, with its study's baseline beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mic2e_bench import paths
from mic2e_bench.errors import BadInput
from mic2e_bench.records import comparable, record
from mic2e_bench.records.record import Record
from mic2e_bench.tools import verify
from mic2e_bench.tools.export import find as export_find


@dataclass(frozen=True)
class Measurement:
    """A record, the baseline of its study (``None``: not there, or it is the record itself), and their folder."""

    record: Record
    baseline: Record | None
    folder: Path  # of the study, which the pictures' names start from


def find(wanted: str, results: Path) -> Measurement:
    """The file of a record, or ``STUDY/ID`` under ``results``. Raises ``BadInput``, also where it was edited."""
    study, slash, id = wanted.rpartition("/")
    if wanted.endswith(".json"):
        path = paths.expanded(wanted, "reproduce: ")
    elif slash:
        path = export_find.stored(study, id, results, "reproduce")
    else:
        raise BadInput(
            f"reproduce: '{wanted}' is no record: give its file (NAME.json), or STUDY/ID of one in {results}."
        )
    one = _read(path)
    return Measurement(one, _baseline(one, path.parent), path.parent)


def _read(path: Path) -> Record:
    try:
        one = record.read(path)
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(f"reproduce: {path}: no such record.") from None
    except record.Damaged as damage:
        raise BadInput(f"reproduce: {damage}. Nothing can be compared with it.") from None
    if said := verify.changed(one, path.parent):
        raise BadInput(f"reproduce: {said}. Nothing is compared with what was edited.")
    return one


def _baseline(one: Record, folder: Path) -> Record | None:
    """The baseline that a record was scored against, else the one that is called so; another study's is none."""
    found = (record.read_if_there(path) for path in record.paths(folder) if path.stem != one.id)
    others = {each.id: each for each in found if each and each.study == one.study and comparable.is_measured(each)}
    if comparable.is_baseline(one):
        return None
    named = [others[id] for id in comparable.references(one) if id in others]
    base = next((each for each in (*named, *others.values()) if comparable.is_baseline(each)), None)
    return None if base is None or verify.changed(base, folder) else base
