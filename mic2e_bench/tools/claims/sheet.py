"""A table of a guide: texts, and cells in which records speak."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mic2e_bench.records import comparable
from mic2e_bench.report import frame
from mic2e_bench.report.footnotes import DISTURBED
from mic2e_bench.tools.claims.outcome import JudgedClaim
from mic2e_bench.tools.claims.stored import Stored

NOTHING = "–"


@dataclass(frozen=True)
class MeasuredCell:
    """A measured place of a table: the outcome behind it and its text."""

    outcome: JudgedClaim
    text: str
    where: str = ""  # the weights and the device, where the table has figures of several

    def at(self, where: str) -> MeasuredCell:
        """The cell with the place of its figure."""
        return replace(self, text=f"{self.text}; {where}", where=where)

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
    keys: Sequence[str] = ()  # of the claim in each row, where a row is one

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
        if not any(True for _ in self.cells):
            return ""
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


QUALITY = "Quality: 100 (1 - perceptual distance to the reference's picture) in %; the guides name no measure."


def judged(outcome: JudgedClaim) -> MeasuredCell:
    """A figure with its verdict and the reason."""
    why = f" ({outcome.reason})" if outcome.reason else ""
    figure = "" if outcome.value is None else f"{outcome.measured}: "
    return MeasuredCell(outcome, f"{figure}{outcome.verdict}{why}")


def told_apart(sheet: Sheet) -> Sheet:
    """The sheet with the place behind each figure, where they are of several and no column says of which."""
    if PLACE in sheet.header or len({one.place for one in sheet.shown}) < 2:
        return sheet

    def placed(cell: str | MeasuredCell) -> str | MeasuredCell:
        return cell if isinstance(cell, str) or cell.outcome.value is None else cell.at(cell.outcome.place)

    return replace(sheet, rows=[list(map(placed, row)) for row in sheet.rows])


PLACE = "measured with"


def listing(title: str, guide: str, outcomes: Sequence[JudgedClaim]) -> Sheet:
    """A claim a row."""
    header, rows = ["section", "optimisation", "pipeline", "claimed", "measured", PLACE], []
    for one in outcomes:
        claim = one.claim
        rows.append([claim.section, claim.what, claim.pipeline.name, claim.claimed, judged(one), one.place or NOTHING])
    return Sheet(title, guide, header, rows, [one.claim.key for one in outcomes])
