"""Benchmarks of the workbench itself: a module each, whose ``main()`` prints a Markdown section and returns 0 or 1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def section(title: str, about: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A section of BENCHMARKS.md: a heading, a paragraph that says what was done, and a table."""
    lines = [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
    return f"### {title}\n\n{about}\n\n" + "\n".join(lines)
