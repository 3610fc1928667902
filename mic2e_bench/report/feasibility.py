"""What fits: a map over resolution, batch and precision of which trials ran, and what they took where they did."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
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
FITS, SKIPPED, FAILS = "#e7f5ee", "#f3f4f6", "#fdecea"  # backgrounds: green, grey, red


@dataclass(frozen=True)
class Map:
    """A table with the status of each cell behind the first column; ``statuses`` are those of ``table.rows``."""

    table: Table
    statuses: Sequence[Sequence[str]]


def html(found: Findings) -> Markup:
    """The maps of a study that varies at least two of resolution, batch and precision; empty for another."""
    return markup.render("fits.html", maps=list(maps(found)), colour=_colour)


def _colour(status: str) -> str:
    return FITS if status in MEASURED else FAILS if status not in ("", "skipped", MISSING) else SKIPPED


def text(found: Findings) -> str:
    """The same for a terminal."""
    return "\n\n".join(one.table.text() for one in maps(found))


def maps(found: Findings) -> Iterator[Map]:
    """A map for each combination of whatever else the study varies; of a grid, not of changes one at a time."""
    axes = [name for name in AXES if name in found.trials and len({show(value) for value in found.trials[name]}) > 1]
    if len(axes) < 2 or "vary" not in found.study.params:
        return
    others = [name for name in found.study.varied if name not in axes and name in found.trials]
    groups: dict[str, list[pandas.Series]] = {}
    for _, row in found.trials.iterrows():
        groups.setdefault(", ".join(f"{name} {show(row[name])}" for name in others), []).append(row)
    for name, rows in groups.items():
        yield _map(found, axes, rows, name)


def _map(found: Findings, axes: list[str], rows: list[pandas.Series], name: str) -> Map:
    """The first axis downwards, the others across."""
    values = [_ordered([row[axis] for row in rows]) for axis in axes]
    across = list(itertools.product(*values[1:]))
    by_place = {tuple(show(row[axis]) for axis in axes): row for row in rows}
    lines, statuses = [], []
    for first in values[0]:
        cells = [by_place.get((first, *rest)) for rest in across]
        lines.append((first, *(_words(found, cell) for cell in cells)))
        statuses.append(["" if cell is None else cell["status"] for cell in cells])
    columns = [", ".join(map("{} {}".format, axes[1:], rest)) for rest in across]
    memory = f"{MEMORY_NAMES[found.memory]} of a call and its latency where it fits"
    caption = f"{f'{name}: ' if name else ''}{memory}."
    if any("skipped" in line for line in statuses):
        caption += " Skipped: larger than one that ran out of memory, and not tried."
    caption += f" {footnotes.disturbed_words(found)}".rstrip()
    return Map(Table((axes[0], *columns), lines, f"{caption} {found.credit}.", left=range(len(columns) + 1)), statuses)


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
