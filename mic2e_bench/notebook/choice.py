"""What the notebooks of choosing, of searching and of throughput call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from IPython.display import HTML

from mic2e_bench import documents
from mic2e_bench.errors import BadInput
from mic2e_bench.notebook.places import from_root, results_of
from mic2e_bench.report import figures, markup
from mic2e_bench.tools.recommend import figure as recommend_figure
from mic2e_bench.tools.recommend import text as recommend_text
from mic2e_bench.tools.recommend.candidates import Candidates
from mic2e_bench.tools.recommend.recommend import Recommendation
from mic2e_bench.tools.recommend.request import ask
from mic2e_bench.tools.throughput import measure, page, study
from mic2e_bench.tools.tune import figure as tune_figure
from mic2e_bench.tools.tune import story


@dataclass(frozen=True)
class Choice:
    """A recommendation among records, ready to be displayed."""

    made: Recommendation
    among: Candidates

    def answer(self) -> HTML:
        """The recommendation in words: the best, what comes next, what each limit costs."""
        return HTML(markup.render("answer.html", text=recommend_text.text(self.made, self.among, with_table=False)))

    def front(self) -> HTML:
        """The settings over latency and quality: point at one to see its values, its settings and its picture."""
        return HTML(recommend_figure.html(self.made, self.among))

    def figure(self) -> HTML:
        """The same as a figure that needs no pointing at."""
        alt = f"the Pareto front over latency; {self.among.stand_ins}"
        return HTML(figures.html(recommend_figure.figure(self.made, self.among), alt, recommend_figure.NOTHING))

    def table(self) -> HTML:
        """Every measured setting with its place."""
        return HTML(recommend_text.table(self.made, self.among).html())


def choice(studies: str | Sequence[str], results: str | None = None, **asked: Any) -> Choice:
    """The choice among studies (names or params files) under limits written as on the command line.

    ``asked`` are ``ask``'s ``max_latency``, ``max_vram``, ``max_memory``, ``min_quality``, ``prefer``, ``metric``.
    Raises ``BadInput``.
    """
    names = studies if isinstance(studies, (list, tuple)) else [studies]
    names = [documents.named(name, "parameters: studies") for name in names]
    return Choice(*ask(names, results_of(results), **asked))


@dataclass(frozen=True)
class Searched:
    """A search that ``mic2e-bench tune`` has stored, ready to be displayed; nothing is measured."""

    read: story.Story
    folder: Path

    def fronts(self) -> HTML:
        """The front at stages of the search, among what was tried until then."""
        return HTML(figures.html(tune_figure.stages(self.read), "the front at stages of the search", ""))

    def counts(self) -> HTML:
        """How many points were tried, were left in the race and were on the front, over the seconds."""
        return HTML(figures.html(tune_figure.counts(self.read), "points in the race over the seconds", ""))

    def visits(self) -> HTML:
        """Every visit, with what was dropped from there on and why."""
        return HTML(self.read.table().html())

    def beaten(self) -> HTML:
        """What fell out of the race, and what beats it."""
        return HTML(self.read.beaten().html())

    def finalists(self) -> HTML:
        """The finalists as they were measured again; a line where the search has not come so far."""
        table = story.finalists(self.folder)
        if table is None:
            return HTML(markup.render("answer.html", text="The search has not ended: there are no finalists yet."))
        return HTML(table.html())


def searched(name: str, results: str | None = None) -> Searched:
    """The stored search of a study, named as its folder under the results. Raises ``BadInput``."""
    folder = results_of(results) / documents.named(name, "parameters: study")
    return Searched(story.read(folder), folder)


@dataclass(frozen=True)
class Throughput:
    """A throughput study with its results folder."""

    study: study.ThroughputStudy
    results: Path

    def measure(self) -> HTML:
        """Measure the points that have no record yet, and show them all: tables, answers, figures."""
        try:
            return HTML(page.html(measure.studies([self.study], self.results)[0]))
        except KeyboardInterrupt:
            raise BadInput("stopped. What was measured is kept; run the cell again to go on.") from None


def throughput(params: Mapping[str, Any], results: str | None = None) -> Throughput:
    """The throughput study of a notebook's parameters, which are those of a params file with ``kind``.

    What is given for other kinds plays no part. Raises ``BadInput``.
    """
    known = (*study.SHARED, "kind", params["kind"])
    given = {key: value for key, value in params.items() if value is not None and key in known}
    for key in ("inputs", "model"):
        given[key] = from_root(given.get(key, "bundled"))
    return Throughput(study.resolve(given, "parameters"), results_of(results))
