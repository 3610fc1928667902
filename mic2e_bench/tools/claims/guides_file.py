"""``params/guides.yaml``: the guides' own tables, word for word, with the places where what was measured stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mic2e_bench import files
from mic2e_bench.errors import BadInput
from mic2e_bench.paths import root

MEASURED = "="  # a cell that begins so is KEY.QUANTITY[@PIPELINE] of a claim


@dataclass(frozen=True)
class GuideTable:
    """A table of a guide: texts, and cells that refer to claims."""

    guide: str
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def path() -> Path:
    return root() / "params" / "guides.yaml"


def load() -> list[GuideTable]:
    """Every table, in the order of the file. Raises ``BadInput``."""
    tables = files.read_yaml(path(), advice="Run from the workbench's folder.") or []
    return [_table(number, each) for number, each in enumerate(tables if isinstance(tables, list) else [tables], 1)]


def _table(number: int, given: object) -> GuideTable:
    keys = ("guide", "title", "header", "rows")
    if not isinstance(given, dict) or set(given) != set(keys):
        raise BadInput(f"{path()}: table {number}: write {', '.join(keys)}.")
    where = f"{path()}: {given['guide']}: {given['title']}"
    for row in (given["header"], *given["rows"]):
        if len(row) != len(given["header"]) or not all(isinstance(cell, str) for cell in row):
            raise BadInput(f"{where}: {row!r}: a row has {len(given['header'])} texts, as the header.")
    return GuideTable(**given)
