"""What ``notebooks/choose.ipynb`` calls: a recommendation to read, to point at and to print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from IPython.display import HTML

from mic2e_bench import places
from mic2e_bench.choosing import advice
from mic2e_bench.choosing.ask import ask
from mic2e_bench.choosing.candidates import Candidates
from mic2e_bench.choosing.recommend import Recommendation
from mic2e_bench.report import figures, frontier, markup


@dataclass(frozen=True)
class Choice:
    """A recommendation among records, ready to be displayed."""

    made: Recommendation
    among: Candidates

    def answer(self) -> HTML:
        """The recommendation in words: the best, what comes next, what each limit costs."""
        return HTML(markup.render("answer.html", text=advice.text(self.made, self.among, with_table=False)))

    def front(self) -> HTML:
        """The settings over latency and quality: point at one to see its values, its settings and its picture."""
        return HTML(frontier.html(self.made, self.among))

    def figure(self) -> HTML:
        """The same as a figure that needs no pointing at."""
        alt = f"the Pareto front over latency; {self.among.stand_ins}"
        return HTML(figures.html(frontier.figure(self.made, self.among), alt, frontier.NOTHING))

    def table(self) -> HTML:
        """Every measured setting with its place."""
        return HTML(advice.table(self.made, self.among).html())


def choice(studies: str | Sequence[str], results: str | None = None, **asked: Any) -> Choice:
    """The choice among studies (names or params files) under limits written as on the command line.

    ``asked`` are ``ask``'s ``max_latency``, ``max_vram``, ``max_memory``, ``min_quality``, ``prefer``, ``metric``.
    Raises ``BadInput``.
    """
    names = [studies] if isinstance(studies, str) else list(studies)
    return Choice(*ask(names, Path(results) if results else places.results(), **asked))
