"""A study by a notebook's parameters, and everything to look at, to be displayed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas
from IPython.display import HTML

from mic2e_bench import api, documents
from mic2e_bench.errors import BadInput
from mic2e_bench.notebook import front_end
from mic2e_bench.notebook.places import from_root, results_of
from mic2e_bench.plan.params import CHOICES, KEYS, Study, resolve_study
from mic2e_bench.records import record
from mic2e_bench.records.comparable import is_measured
from mic2e_bench.report import (
    breakdown,
    figures,
    findings,
    interactions,
    markup,
    papermill_run,
    payoff,
    plots,
    strips,
    tables,
)
from mic2e_bench.report import header as report_header
from mic2e_bench.report.findings import Findings
from mic2e_bench.report.tabular import Table
from mic2e_bench.tools import pin
from mic2e_bench.tools.lab import names


@dataclass
class Bench:
    """A study with its results folder. Its methods read the records anew, so a cell can be run again at any time.

    The study is another one once the widgets have planned another.
    """

    study: Study
    results: Path
    mixed: bool = False

    def measure(self) -> Any:
        """Measure and score what has no record yet, and show what was measured.

        Where a person sits in front of it, these are widgets: first the plan, and nothing runs before Start. A failed
        trial keeps its record; ``mic2e_bench.run`` tries it again.
        """
        if front_end.is_there():
            from mic2e_bench.notebook.widgets import Panel

            return Panel(self).view
        if not self._complete():
            try:
                api.run(self.study, results=self.results)
            except KeyboardInterrupt:
                raise BadInput("stopped. What was measured is kept; run the cell again to go on.") from None
        return self.about()

    def about(self) -> HTML:
        """What was measured, where, with what stand-ins, and what failed."""
        return HTML(report_header.html(self.findings()))

    def slider(self) -> Any:
        """A slider through the pictures, beside the baseline's; nothing where nobody can move it."""
        if not front_end.is_there():
            return None
        from mic2e_bench.notebook.slider import of

        return of(self.findings())

    def _complete(self) -> bool:
        """Whether every trial has a record, and every measured one its scores."""
        files = (record.path_of(self.results, self.study.name, trial.id) for trial in self.study.trials)
        found = [record.read_if_there(path) for path in files]
        scored = (one and (one.quality or not is_measured(one)) for one in found)
        return all(scored) if self.study.metrics else all(found)

    def findings(self) -> Findings:
        """The records as tables and figures take them. Raises ``BadInput`` where environments are mixed."""
        return findings.read(self.study, self.results, self.mixed)

    def table(self) -> HTML:
        """The main figures, a row a trial."""
        return HTML(tables.main(self.findings()).html())

    def comparison(self) -> HTML:
        """The main figures, a column a preset."""
        return HTML(tables.comparison(self.findings()).html())

    def more_metrics(self) -> HTML:
        """The metrics that the main table leaves out."""
        return _tables(tables.more_metrics(self.findings()), "None were asked for.")

    def breakdown(self) -> HTML:
        """Where time and memory go, the start, and the work against the device's ceilings."""
        return _tables(breakdown.all_of(self.findings()), "Nothing was measured.")

    def interactions(self) -> HTML:
        """Of a study with ``ablate``: each setting alone and among the others, and which help, cancel or break."""
        return HTML(interactions.html(self.findings()))

    def payoff(self) -> HTML:
        """What the first call costs where something is compiled, and after how many images it pays off."""
        return HTML(payoff.table(self.findings()).html())

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
        found = self.findings()
        nothing = "Nothing to draw: no trial has these values."
        return HTML(figures.html(drawn(found), f"{alt}; {found.credit}", nothing))

    def strips(self, inputs: int = 2) -> HTML:
        """The images of the first ``inputs`` inputs, and their difference to the baseline.

        They lead to the images as stored where the notebook is known to lie beside them.
        """
        found = self.findings()
        beside = os.environ.get(papermill_run.LIES_IN) == str(found.folder.resolve())
        return HTML(strips.html(found, inputs, "" if beside else None))

    def frame(self) -> pandas.DataFrame:
        """Every number of the study's trials, unrounded, in SI units."""
        return self.findings().trials


def _tables(shown: Sequence[Table], otherwise: str) -> HTML:
    return HTML(markup.render("tables.html", tables=shown, otherwise=otherwise))


def bench(example: str, params: Mapping[str, Any], results: str | None = None, mixed: bool = False) -> Bench:
    """The study of a notebook's parameters, the same as that of a params file with these keys.

    ``example`` names which of vary, trials, presets and ablate the notebook fills in by itself: it gives way when a
    params file brings another of them (one that brings none of them is the example here). A study without a name gets
    its file's, or where the parameters are a person's own, one that joins no other study. Raises ``BadInput``.
    """
    given = {key: value for key, value in params.items() if value is not None}
    if any(key in given for key in CHOICES if key != example):
        given.pop(example, None)
    for key in ("inputs", "model"):
        given[key] = from_root(given.get(key, "bundled"))
    is_mixed, folder = documents.truth(mixed, "parameters: mixed"), results_of(results)
    if "study" not in given and front_end.is_by_hand(KEYS):
        given["study"] = names.own(given, folder)
    return Bench(pin.pinned(resolve_study(given, "parameters")), folder, is_mixed)
