"""The tables as a page, in HTML and in Markdown: what it is, the score with what each verdict means, every table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from mic2e_bench.report import markup
from mic2e_bench.report.tabular import MARK, Linked, Table
from mic2e_bench.tools.claims import score, verdicts
from mic2e_bench.tools.claims.score import Entry
from mic2e_bench.tools.claims.sheet import MeasuredCell, Sheet

TITLE = "The guides' tables, measured"
REPORT = "report.html"
INTRO = (
    "Five guides of the service promise what each optimisation gives. Here their tables stand word for word, and "
    "beside each figure what was measured of it. A ratio comes from two records of one machine that differ in the "
    "named settings alone. Every figure leads to its record.",
    "A verdict is by the whole 95 % interval, never by its better end. A promise is kept from the worse end of "
    "its range on: 2.5-3x holds at 4x. A warning (10-20 % slower) must cost that, neither less nor more. “No "
    "change” leaves room for 2 %. Peaks of VRAM repeat exactly, so they need no interval; n says how many builds, "
    "pictures or runs a figure is of.",
    "Stand-ins are named. Small bundled models, and random weights of the published size, answer what the work "
    "takes, and never how good the published model's pictures are. A CPU says nothing of what a precision, a "
    "kernel or an offload does on a GPU: fp16 is slow on a CPU, and that judges no GPU. An absolute time needs "
    "the device that the guide names.",
)
RULE = (
    "A claim is an entry of params/claims.yaml: one statement of a guide, often with several figures (speed, "
    "memory, quality) and sometimes of several pipelines. It holds where some of its figures hold and none does "
    "not; figures without an answer neither help nor hurt it. Without any decided figure it has the first "
    "verdict, in the order of this table, that one of its figures has."
)


def address(results: Path, path: str) -> str:
    """Where a figure leads, relative to the results folder: its record's readable page, where there is one."""
    page = f"{path.removesuffix('.json')}.html"
    return quote(page if (results / page).is_file() else path)


def html(made: Sequence[Sheet], found: Sequence[Entry], results: Path) -> str:
    """The page. It links to the report where that lies beside it."""
    page = markup.render(
        "claims.html",
        title=TITLE,
        intro=INTRO,
        rule=RULE,
        report=REPORT if (results / REPORT).is_file() else "",
        sentence=score.sentence(found),
        counts=score.counts(found),
        meanings=verdicts.MEANINGS,
        by_guide=score.by_guide(found),
        entries=found,
        sheets=list(enumerate(made, 1)),
        guides=list(dict.fromkeys(sheet.guide for sheet in made)),
        css=verdicts.css,
        links=lambda cell: [address(results, one.path) for one in cell.records],
        more=MARK,
    )
    # published files spell quotes so, and their check compares characters
    return str(page).replace("&#39;", "&#x27;").replace("&#34;", "&quot;")


def markdown(made: Sequence[Sheet], found: Sequence[Entry], results: Path) -> str:
    """The same in Markdown."""
    rows = [[w, str(c), str(f), verdicts.MEANINGS[w]] for w, (c, f) in score.counts(found).items()]
    legend = Table(["verdict", "claims", "figures", "when"], rows, left=(0, 3))
    words = list(verdicts.MEANINGS)
    guides = [[guide, *(str(each[word]) for word in words)] for guide, each in score.by_guide(found).items()]
    parts = [f"# {TITLE}", f"**{score.sentence(found)}**", *INTRO, legend.markdown().strip()]
    parts += [RULE, Table(["guide (claims)", *words], guides).markdown().strip()]
    parts += [f"## {sheet.guide}: {sheet.title}\n\n{_table(sheet, results).markdown().strip()}" for sheet in made]
    return "\n\n".join(parts) + "\n"


def _table(sheet: Sheet, results: Path) -> Table:
    def linked(cell: str | MeasuredCell) -> str:
        if isinstance(cell, str):
            return cell
        return Linked.to(cell.text, [address(results, one.path) for one in cell.records])

    rows = [list(map(linked, row)) for row in sheet.rows]
    return Table(sheet.header, rows, sheet.caption, left=range(len(sheet.header)))
