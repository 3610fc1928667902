"""``mic2e-bench plan``."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mic2e_bench import commands, paths
from mic2e_bench.records import record

if TYPE_CHECKING:
    from mic2e_bench.plan.params import Study
    from mic2e_bench.plan.trial import Trial

ABOUT = "show the trials of a study, what this machine lacks for them and what is already measured"
arguments = commands.add_studies


def execute(options: argparse.Namespace) -> int:
    show(options)
    return commands.OK


def show(options: argparse.Namespace) -> None:
    """Print every trial of the studies. Of a hundred thousand no more is kept than their lines, which come when all
    files are known to be good.
    """
    print(text(commands.each_study(options), commands.results(options)))


def text(studies: Iterable[Study], results: Path) -> str:
    """Every trial of the studies, a line each, and what holds for all."""
    return "\n\n".join(parts(studies, results))


def parts(studies: Iterable[Study], results: Path) -> Iterator[str]:
    """Every trial of each study with its identity and what is known of it already, then what holds for all."""
    from mic2e_bench.catalog.models import sources
    from mic2e_bench.machine import visible
    from mic2e_bench.report.tabular import columns
    from mic2e_bench.tools.verify import before

    older = 0
    for study in studies:
        there = {path.stem for path in record.paths(paths.of_study(results, study.name))}
        rows = []
        for trial in study.trials:
            rows.append((trial.id, trial.label, _state(study, trial, results, there)))
        older += before.count(study, results)
        builds = len({trial.build_key for trial in study.trials})
        inputs = len(study.baseline.inputs["items"])
        yield (
            f"{study.name}: {study.pipeline.name}, {sources.label(study.baseline.model)}, "
            f"{len(study.trials)} trials in {builds} builds{_turns(study.baseline)}, {inputs} inputs\n"
            + "\n".join([columns(rows, ("trial", "label", "state")), *study.remarks])
        )
    yield from filter(None, [before.text(older), visible.hidden()])


def _turns(trial: Trial) -> str:
    """Over how many fresh processes of each build trials take turns, if they do."""
    from mic2e_bench import statistics

    if not trial.is_in_rounds:
        return ""
    fresh = trial.protocol.get("builds", 1)
    few = f" (a speed-up has an interval from {statistics.ENOUGH} on)" if fresh < statistics.ENOUGH else ""
    return f", in turns over {fresh} of each{few}"


def _state(study: Study, trial: Trial, results: Path, there: Collection[str]) -> str:
    """What will become of a trial, or what has; ``there`` are the ids of the study's records."""
    from mic2e_bench.plan.settings import missing

    if trial.id in study.refused:
        return f"refused: {study.refused[trial.id]}"
    if trial.id in there and (old := record.read_if_there(record.path_of(results, study.name, trial.id))):
        return old.status
    lacking = missing(trial.settings)
    return f"unavailable here: {lacking}" if lacking else "to measure"
