"""What the widgets show as text: lines and tables, by the templates alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
from markupsafe import Markup

from mic2e_bench import units
from mic2e_bench.errors import BadInput
from mic2e_bench.notebook.bench import Bench
from mic2e_bench.notebook.choice import Choice
from mic2e_bench.report import findings, markup, tables
from mic2e_bench.report.tabular import Table
from mic2e_bench.tools.recommend.request import ask

WAITING = "not measured yet"


def place() -> widgets.HTML:
    """Where lines or a table will stand, in the looks of JupyterLab's own outputs."""
    made = widgets.HTML(layout={"max_width": "100%", "overflow": "auto"})
    made.add_class("jp-RenderedHTMLCommon")
    return made


def line(where: widgets.HTML, words: str, detail: str = "", kind: str = "") -> None:
    """One line, and a second one of details."""
    put(where, markup.render("lab_status.html", words=words, detail=detail, kind=kind))


def put(where: widgets.HTML, made: Markup) -> None:
    """What a template made."""
    where.value = str(made)


def table(bench: Bench) -> Markup:
    """The main figures of what has a record by now; the others wait."""
    try:
        found = tables.main(bench.findings())
    except BadInput as error:
        return markup.render("lab_status.html", words=str(error), detail="", kind="problem")
    rows = [[WAITING if str(cell).startswith(findings.MISSING) else cell for cell in row] for row in found.rows]
    return Table(found.header, rows, found.caption, found.marks, found.left).html()


def answer(bench: Bench, limits: Mapping[str, str]) -> Markup:
    """What to set under the limits, from this study's records; or why that cannot be said."""
    try:
        return Markup(Choice(*ask([bench.study.name], bench.results, **limits)).answer().data)
    except BadInput as error:
        return markup.render("lab_status.html", words="no recommendation yet", detail=str(error), kind="")


def limits(latency: str, memory: str, quality: str) -> dict[str, Any]:
    """The limit that an estimate can be held against, in bytes."""
    return {"memory": units.size(memory, "memory")} if memory.strip() else {}
