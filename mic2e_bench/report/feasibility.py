"""What fits: a map over resolution, batch and precision of which trials ran, and what they took where they did."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas
from markupsafe import Markup

from mic2e_bench.plan.settings import show
from mic2e_bench.records.comparable import MEASURED, MEMORY_NAMES
from mic2e_bench.report import footnotes, markup
from mic2e_bench.report.findings import MISSING, Findings
from mic2e_bench.report.tabular import Table
from mic2e_bench.units import NONE, digits, missing, scale

AXES = ("resolution", "batch", "precision")
WORDS = {"oom": "out of memory", MISSING: "not measured yet", "not_applied": "not as asked"}


@dataclass(frozen=True)
class Line:
    """A row of the map: the value of the first axis, then of each cell its text and its status ("": no such trial)."""

    name: str
    cells: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Map:
    """One table. ``groups`` has the lines of each combination of what else the study varies ("" where nothing is)."""

    header: Sequence[str]
    groups: Mapping[str, Sequence[Line]]
    caption: str

    def table(self) -> Table:
        """The same as texts; the group is the first column where there is more than one."""
        rows = [(name, line.name, *(text for text, _ in line.cells)) for name, of in self.groups.items() for line in of]
        first = () if "" in self.groups else ("",)
        return Table((*first, *self.header), [row[1 - len(first) :] for row in rows], self.caption, left=range(99))


def html(found: Findings) -> Markup:
    """The map of a study that varies at least two of resolution, batch and precision; empty for another."""
    return markup.render("fits.html", map=of(found), kind=_kind)


def _kind(status: str) -> str:
    """The class of a cell."""
    return "fits" if status in MEASURED else "fails" if status not in ("", "skipped", MISSING) else "skipped"


def text(found: Findings) -> str:
    """The same for a terminal."""
    made = of(found)
    return made.table().text() if made else ""


def of(found: Findings) -> Map | None:
    """The map of a grid: the first axis downwards, the others across. None of changes one at a time."""
    axes = [name for name in AXES if name in found.trials and len({show(value) for value in found.trials[name]}) > 1]
    if len(axes) < 2 or "vary" not in found.study.params:
        return None
    others = [name for name in found.study.varied if name not in axes and name in found.trials]
    values = [_ordered([row[axis] for _, row in found.trials.iterrows()]) for axis in axes]
    across = list(itertools.product(*values[1:]))
    groups: dict[str, dict[tuple[str, ...], pandas.Series]] = {}
    for _, row in found.trials.iterrows():
        name = ", ".join(f"{name} {show(row[name])}" for name in others)
        groups.setdefault(name, {})[tuple(show(row[axis]) for axis in axes)] = row
    lines = {
        name: [_line(found, first, [rows.get((first, *rest)) for rest in across]) for first in values[0]]
        for name, rows in groups.items()
    }
    columns = [", ".join(map("{} {}".format, axes[1:], rest)) for rest in across]
    return Map((axes[0], *columns), lines, _caption(found))


def _line(found: Findings, name: str, rows: Sequence[pandas.Series | None]) -> Line:
    return Line(name, [(_words(found, row), "" if row is None else row["status"]) for row in rows])


def _caption(found: Findings) -> str:
    caption = f"{MEMORY_NAMES[found.memory]} of a call and its latency where it fits."
    if "skipped" in set(found.trials["status"]):
        caption += " Skipped: larger than one that ran out of memory, and not tried."
    return f"{f'{caption} {footnotes.disturbed_words(found)}'.rstrip()} {found.credit}."


def _ordered(values: list[object]) -> list[str]:
    """Numbers by size, words in the order of the plan."""
    known = {show(value): value for value in values}
    numeric = all(not isinstance(value, str) for value in known.values())
    return sorted(known, key=lambda text: known[text]) if numeric else list(known)


def _words(found: Findings, row: pandas.Series | None) -> str:
    if row is None:
        return NONE
    status = WORDS.get(row["status"], row["status"])
    if row["status"] not in MEASURED:
        return status
    texts = []
    for column in (found.memory, "latency_s"):
        factor, unit = scale(column, found.trials[column])
        if not missing(row[column]):
            mark = footnotes.mark(found, row["id"]) if column == "latency_s" else ""
            texts.append(f"{digits(row[column] * factor)} {unit}{mark}")
    return ", ".join([*texts, *([status] if row["status"] != "ok" else [])])
