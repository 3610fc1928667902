"""What the notebooks call: a study or a choice by their parameters, and everything to look at, to be displayed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas
from IPython.display import HTML

from mic2e_bench import api, documents, paths
from mic2e_bench.plan.params import CHOICES, Study, resolve_study
from mic2e_bench.records import record
from mic2e_bench.records.comparable import is_measured
from mic2e_bench.report import breakdown, figures, findings, interactions, markup, payoff, plots, strips, tables
from mic2e_bench.report import header as report_header
from mic2e_bench.report.findings import Findings
from mic2e_bench.report.tabular import Table
from mic2e_bench.tools import pin
from mic2e_bench.tools.recommend import figure as recommend_figure
from mic2e_bench.tools.recommend import text as recommend_text
from mic2e_bench.tools.recommend.candidates import Candidates
from mic2e_bench.tools.recommend.recommend import Recommendation
from mic2e_bench.tools.recommend.request import ask
from mic2e_bench.tools.throughput import measure, page, study


@dataclass(frozen=True)
class Bench:
    """A study with its results folder. Its methods read the records anew, so a cell can be run again at any time."""

    study: Study
    results: Path
    mixed: bool = False

    def measure(self) -> HTML:
        """Measure and score what has no record yet. A failed trial keeps its; ``mic2e_bench.run`` tries it again."""
        if not self._complete():
            api.run(self.study, results=self.results)
        return HTML(report_header.html(self._found()))

    def _complete(self) -> bool:
        """Whether every trial has a record, and every measured one its scores."""
        files = (record.path_of(self.results, self.study.name, trial.id) for trial in self.study.trials)
        found = [record.read_if_there(path) for path in files]
        scored = (one and (one.quality or not is_measured(one)) for one in found)
        return all(scored) if self.study.metrics else all(found)

    def _found(self) -> Findings:
        return findings.read(self.study, self.results, self.mixed)

    def table(self) -> HTML:
        """The main figures, a row a trial."""
        return HTML(tables.main(self._found()).html())

    def comparison(self) -> HTML:
        """The main figures, a column a preset."""
        return HTML(tables.comparison(self._found()).html())

    def more_metrics(self) -> HTML:
        """The metrics that the main table leaves out."""
        return _tables(tables.more_metrics(self._found()), "None were asked for.")

    def breakdown(self) -> HTML:
        """Where time and memory go, the start, and the work against the device's ceilings."""
        return _tables(breakdown.all_of(self._found()), "Nothing was measured.")

    def interactions(self) -> HTML:
        """Of a study with ``ablate``: each setting alone and among the others, and which help, cancel or break."""
        return HTML(interactions.html(self._found()))

    def payoff(self) -> HTML:
        """What the first call costs where something is compiled, and after how many images it pays off."""
        return HTML(payoff.table(self._found()).html())

    def payoff_figure(self) -> HTML:
        """Seconds until the n-th image is there."""
        return self._figure(payoff.figure, "seconds until the n-th image is there")

    def overview(self) -> HTML:
        """Speed, memory and quality against what was varied."""
        return self._figure(plots.overview, "speed, memory and quality of every trial")

    def tradeoff(self) -> HTML:
        """Quality against latency."""
        return self._figure(plots.tradeoff, "quality against latency")

    def _figure(self, drawn: Callable[[Findings], Any], alt: str) -> HTML:
        found = self._found()
        nothing = "Nothing to draw: no trial has these values."
        return HTML(figures.html(drawn(found), f"{alt}; {found.credit}", nothing))

    def strips(self, inputs: int = 2) -> HTML:
        """The images of the first ``inputs`` inputs, and their difference to the baseline."""
        return HTML(strips.html(self._found(), inputs))

    def frame(self) -> pandas.DataFrame:
        """Every number of the study's trials, unrounded, in SI units."""
        return self._found().trials


def _tables(shown: Sequence[Table], otherwise: str) -> HTML:
    return HTML(markup.render("tables.html", tables=shown, otherwise=otherwise))


def bench(example: str, params: Mapping[str, Any], results: str | None = None, mixed: bool = False) -> Bench:
    """The study of a notebook's parameters, the same as that of a params file with these keys.

    ``example`` names which of vary, trials, presets and ablate the notebook fills in by itself: it gives way when a
    params file brings another of them (one that brings none of them is the example here). Raises ``BadInput``.
    """
    given = {key: value for key, value in params.items() if value is not None}
    if any(key in given for key in CHOICES if key != example):
        given.pop(example, None)
    for key in ("inputs", "model"):
        given[key] = _from_root(given.get(key, "bundled"))
    is_mixed = documents.truth(mixed, "parameters: mixed")
    return Bench(pin.pinned(resolve_study(given, "parameters")), _results(results), is_mixed)


def _results(given: Any) -> Path:
    """The results folder; a relative one is the workbench's, also where the kernel runs in notebooks/."""
    return paths.root() / paths.results_of(given if given is None else documents.named(given, "parameters: results"))


def _from_root(value: Any) -> Any:
    """A folder as a params file names it, relative to the workbench, also where the kernel runs in notebooks/."""
    if isinstance(value, Mapping):
        return {**value, "source": _from_root(value.get("source", "bundled"))}
    if not isinstance(value, str):
        return value
    under = paths.root() / value
    return str(under) if not os.path.exists(value) and os.path.isdir(under) else value


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
    return Choice(*ask(names, _results(results), **asked))


@dataclass(frozen=True)
class Throughput:
    """A throughput study with its results folder."""

    study: study.ThroughputStudy
    results: Path

    def measure(self) -> HTML:
        """Measure the points that have no record yet, and show them all: tables, answers, figures."""
        return HTML(page.html(measure.studies([self.study], self.results)[0]))


def throughput(params: Mapping[str, Any], results: str | None = None) -> Throughput:
    """The throughput study of a notebook's parameters, which are those of a params file with ``kind``.

    What is given for other kinds plays no part. Raises ``BadInput``.
    """
    known = (*study.SHARED, "kind", params["kind"])
    given = {key: value for key, value in params.items() if value is not None and key in known}
    for key in ("inputs", "model"):
        given[key] = _from_root(given.get(key, "bundled"))
    return Throughput(study.resolve(given, "parameters"), _results(results))
