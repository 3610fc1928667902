"""``mic2e-bench plan``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mic2e_bench import commands

if TYPE_CHECKING:
    from mic2e_bench.plan.params import Study
    from mic2e_bench.plan.trial import Trial

ABOUT = "show the trials of a study, what this machine lacks for them and what is already measured"
arguments = commands.add_studies


def execute(options: argparse.Namespace) -> int:
    print(text(commands.studies(options), commands.results(options)))
    return commands.OK


def text(studies: Sequence[Study], results: Path) -> str:
    """Every trial of the studies with its identity and what is known of it already."""
    from mic2e_bench.catalog.models import sources
    from mic2e_bench.machine import visible
    from mic2e_bench.report.tabular import columns
    from mic2e_bench.tools.verify import before

    parts = []
    for study in studies:
        rows = []
        for trial in study.trials:
            rows.append((trial.id, trial.label, _state(study, trial, results)))
        builds = len({trial.build_key for trial in study.trials})
        inputs = len(study.baseline.inputs["items"])
        parts.append(
            f"{study.name}: {study.pipeline.name}, {sources.label(study.baseline.model)}, "
            f"{len(study.trials)} trials in {builds} builds{_turns(study.baseline)}, {inputs} inputs\n"
            + "\n".join([columns(rows, ("trial", "label", "state")), *study.remarks])
        )
    return "\n\n".join([*parts, *filter(None, [before.text(studies, results), visible.hidden()])])


def _turns(trial: Trial) -> str:
    """Over how many fresh processes of each build trials take turns, if they do."""
    from mic2e_bench import statistics

    if not trial.is_in_rounds:
        return ""
    fresh = trial.protocol.get("builds", 1)
    few = f" (a speed-up has an interval from {statistics.ENOUGH} on)" if fresh < statistics.ENOUGH else ""
    return f", in turns over {fresh} of each{few}"


def _state(study: Study, trial: Trial, results: Path) -> str:
    """What will become of a trial, or what has."""
    from mic2e_bench.plan.settings import missing
    from mic2e_bench.records import record

    if trial.id in study.refused:
        return f"refused: {study.refused[trial.id]}"
    if old := record.read_if_there(record.path_of(results, study.name, trial.id)):
        return old.status
    lacking = missing(trial.settings)
    return f"unavailable here: {lacking}" if lacking else "to measure"
