"""The guides' tables, each with what was measured, and every claim of each guide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mic2e_bench.errors import unknown
from mic2e_bench.tools.claims import guides_file
from mic2e_bench.tools.claims.guides_file import MEASURED, GuideTable
from mic2e_bench.tools.claims.outcome import JudgedClaim
from mic2e_bench.tools.claims.sheet import MeasuredCell, Sheet, judged, listing, told_apart

EVERY = "Every claim"


def sheets(outcomes: Sequence[JudgedClaim]) -> list[Sheet]:
    """Every table by its guide, in the order of ``params/guides.yaml``; a guide's last one lists its claims.

    Raises ``BadInput`` where a cell of that file refers to no claim.
    """
    found: dict[str, JudgedClaim] = {}
    for outcome in outcomes:
        name = f"{outcome.claim.key}.{outcome.claim.of}"
        found.setdefault(name, outcome)  # of several pipelines the first
        found[f"{name}@{outcome.claim.pipeline.name}"] = outcome
    made, tables = [], guides_file.load()
    for guide in dict.fromkeys([*(each.guide for each in tables), *(each.claim.guide for each in outcomes)]):
        made += [_as_written(table, found) for table in tables if table.guide == guide]
        made.append(listing(EVERY, guide, [one for one in outcomes if one.claim.guide == guide]))
    return [told_apart(sheet) for sheet in made]


def _as_written(table: GuideTable, found: Mapping[str, JudgedClaim]) -> Sheet:
    def cell(text: str) -> str | MeasuredCell:
        if not text.startswith(MEASURED):
            return text
        name = text.removeprefix(MEASURED)
        if name not in found:
            raise unknown("claim", name, found, f"{guides_file.path()}: {table.guide}: {table.title}")
        return judged(found[name])

    return Sheet(table.title, table.guide, table.header, [list(map(cell, row)) for row in table.rows])
