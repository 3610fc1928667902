"""One table of texts, written three ways: for a terminal, as Markdown and as HTML."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mic2e_bench import texts
from mic2e_bench.report import markup


class Linked(str):
    """A cell's text that leads to files: the text to the first of ``links``, a mark behind it to each other one."""

    links: tuple[str, ...] = ()  # relative addresses

    @classmethod
    def to(cls, text: str, links: Sequence[str]) -> Linked:
        made = cls(text)
        made.links = tuple(links)
        return made


@dataclass(frozen=True)
class Table:
    """Rows of texts under a header. ``marks`` holds a word for each row, which HTML uses as its class.

    The caption says what is particular to the table, ``reading`` what holds for all of its kind.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    marks: Sequence[str] = ()
    left: Sequence[int] = (0,)  # the columns of words; the others are numbers, aligned at their right
    reading: Sequence[str] = ()  # sentences that explain such a table; HTML folds them, and not the caption

    def text(self) -> str:
        """For a terminal, the caption below."""
        lines = columns(self.rows, self.header, self.left).split("\n")
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        lines.insert(1, "  ".join("─" * width for width in widths))
        return "\n".join([*lines, *textwrap.wrap(self._words(), 118)])

    def markdown(self) -> str:
        """A pipe table, the caption below."""
        rule = [":---" if index in self.left else "---:" for index in range(len(self.header))]
        lines = [f"| {' | '.join(map(_one_cell, row))} |" for row in (self.header, *self.rows)]
        lines.insert(1, f"| {' | '.join(rule)} |")
        return "\n".join([*lines, *(["", _one_cell(words)] if (words := self._words()) else [])]) + "\n"

    def _words(self) -> str:
        return " ".join(filter(None, [self.caption, *self.reading]))

    def html(self) -> Markup:
        """Numbers stand at the right; only long texts are broken."""
        return markup.render("table.html", table=self, marks=self.marks or [""] * len(self.rows), more=MARK)


def _one_cell(text: str) -> str:
    """A cell of Markdown with its links."""
    safe = texts.markdown(text)
    first, *others = getattr(text, "links", ()) or (None,)
    return safe if first is None else "".join([f"[{safe}]({first})", *(f" [{MARK}]({other})" for other in others)])


MARK = "ref"  # what a link to a further file is called, mostly the record that a ratio refers to


def columns(rows: Iterable[Sequence[Any]], header: Sequence[str], left: Collection[int] | None = None) -> str:
    """Columns of text. ``left`` are those that are aligned at their left; by default all."""
    padded = []
    for index, column in enumerate(zip(header, *rows, strict=True)):
        cells = list(map(str, column))
        width = max(map(len, cells))
        padded.append([c.ljust(width) if left is None or index in left else c.rjust(width) for c in cells])
    return "\n".join("  ".join(row).rstrip() for row in zip(*padded, strict=True))
