"""A table of a guide: texts, and cells in which records speak."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mic2e_bench.records import comparable, frame
from mic2e_bench.report.footnotes import DISTURBED
from mic2e_bench.tools.claims.judge import JudgedClaim
from mic2e_bench.tools.claims.stored import Stored

NOTHING = "–"


@dataclass(frozen=True)
class MeasuredCell:
    """A measured place of a table: the outcome behind it and its text."""

    outcome: JudgedClaim
    text: str

    @property
    def records(self) -> tuple[Stored, ...]:
        return self.outcome.records


@dataclass(frozen=True)
class Sheet:
    """One table of a guide. Its cells are texts, or ``MeasuredCell`` where records speak."""

    title: str
    guide: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | MeasuredCell]]

    @property
    def cells(self) -> Iterable[MeasuredCell]:
        return (cell for row in self.rows for cell in row if isinstance(cell, MeasuredCell))

    @property
    def shown(self) -> list[JudgedClaim]:
        """The outcomes with a figure."""
        return [cell.outcome for cell in self.cells if cell.outcome.value is not None]

    @property
    def caption(self) -> str:
        """The weights, devices and backbones behind the figures, every stand-in among them by its name."""
        shown = self.shown
        if not shown:
            return "Nothing in this table is measured: each cell says why."
        places = dict.fromkeys(f"{one.claim.pipeline.name}: {one.place}" for one in shown)
        backbones = dict.fromkeys(
            str(entry["backbone"])
            for one in shown
            if one.claim.of == "quality" and (entry := one.records[0].record.quality.get("quality"))
        )
        stand_ins = dict.fromkeys(
            text
            for one in shown
            for text in frame.stand_ins(one.records[0].record.model, list(backbones)).split("; ")
            if text
        )
        parts = [f"Measured with {'; '.join(places)}."]
        parts += [f"Stand-ins: {'; '.join(stand_ins)}."] if stand_ins else []
        disturbed = dict.fromkeys(
            "; ".join(comparable.disturbed(one.record))
            for outcome in shown
            for one in outcome.records
            if one.is_disturbed
        )
        if disturbed:
            why = f"such as: {next(iter(disturbed))}"
            parts.append(f"{DISTURBED.strip()}: disturbed while it was measured, so without a verdict ({why}).")
        parts += [f"{QUALITY} Backbone: {'; '.join(backbones)}."] if backbones else []
        return " ".join(parts)


QUALITY = "Quality: LPIPS in %, 100 the reference's picture, 0 one without information; the guides name no measure."


def judged(outcome: JudgedClaim) -> MeasuredCell:
    """A figure with its verdict, for tables without a column of verdicts."""
    if outcome.value is None:
        return MeasuredCell(outcome, f"{outcome.verdict}: {outcome.why}")
    why = f" ({outcome.why})" if outcome.why else ""
    return MeasuredCell(outcome, f"{outcome.measured}: {outcome.verdict}{why}")


def row(outcome: JudgedClaim) -> list[str | MeasuredCell]:
    """What was measured, the verdict, and with what."""
    if outcome.value is None:
        return [MeasuredCell(outcome, "not measured"), f"{outcome.verdict}: {outcome.why}", NOTHING]
    verdict = f"{outcome.verdict}: {outcome.why}" if outcome.why else outcome.verdict
    return [MeasuredCell(outcome, outcome.measured), verdict, outcome.place]


def told_apart(sheet: Sheet) -> Sheet:
    """The sheet with the place behind each figure, where they are of several and no column says of which."""
    if PLACE in sheet.header or len({one.place for one in sheet.shown}) < 2:
        return sheet

    def placed(cell: str | MeasuredCell) -> str | MeasuredCell:
        if isinstance(cell, str) or cell.outcome.value is None:
            return cell
        return replace(cell, text=f"{cell.text}; {cell.outcome.place}")

    return replace(sheet, rows=[list(map(placed, row)) for row in sheet.rows])


PLACE = "measured with"
MEASURED = ("measured", "verdict", PLACE)


def listing(title: str, guide: str, outcomes: Sequence[JudgedClaim], is_all: bool = False) -> Sheet:
    """A claim a row."""
    header, rows = ["optimisation", "claimed", *MEASURED], []
    if is_all:
        header = ["section", "optimisation", "pipeline", "claimed", *MEASURED]
    for one in outcomes:
        first = [one.claim.section, one.claim.what, one.claim.pipeline.name] if is_all else [one.claim.what]
        rows.append([*first, one.claim.claimed, *row(one)])
    return Sheet(title, guide, header, rows)
