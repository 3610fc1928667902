"""The parent: plan, lock, group, start, resume. It never imports torch and never polls."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mic2e_bench.errors import UsedUp
from mic2e_bench.machine import versions, visible
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.trial import Trial, grouped
from mic2e_bench.records import record
from mic2e_bench.records.comparable import disturbed, is_measured
from mic2e_bench.records.folder import known, locked
from mic2e_bench.run import forkserver, rounds, visits
from mic2e_bench.run.child import Child
from mic2e_bench.run.outcomes import Outcomes, Summary
from mic2e_bench.run.progress import Progress

if TYPE_CHECKING:
    from mic2e_bench.tools.budget.budget import Budget
    from mic2e_bench.tools.budget.durations import Durations


def run(
    studies: Iterable[Study],
    results: Path,
    *,
    rerun: bool | str = False,
    force: bool = False,
    budget: Budget | None = None,
    durations: Durations | None = None,
    after: Callable[[], None] = lambda: None,
) -> Summary:
    """Measure every trial that has no measured record yet, study by study; failures become records too.

    ``rerun`` measures all anew, ``"disturbed"`` what other work disturbed (of an interleaved study, all); ``force``
    measures the refused trials and those that could not fit as well. With a ``budget`` what has no record comes first,
    then what failed in an earlier run, as far as it fits. ``after()`` is called after each study. The time
    left is estimated from ``durations``; a budget has its own. Raises ``BadInput`` where ``results`` cannot be written
    or the budget is too short for anything, ``KeyboardInterrupt`` after a clean stop.
    """
    summary, start = Summary(), time.perf_counter()
    results, studies = Path(results), list(studies)
    if budget:
        budget.check(studies, results)
    with contextlib.suppress(UsedUp):
        for only in (is_new, was_tried) if budget else (None,):
            for study in studies:
                with _held(results / study.name, budget):
                    outcomes = Outcomes(results, summary, baseline=study.baseline, force=force, budget=budget)
                    outcomes.durations = budget.durations if budget else durations
                    pending = [trial for trial in due(study, outcomes, rerun) if not only or only(trial, outcomes)]
                    if pending:
                        measure(pending, outcomes)
                if pending or only is not was_tried:
                    after()
    summary.wall_s = time.perf_counter() - start
    return summary


@contextlib.contextmanager
def _held(folder: Path, budget: Budget | None) -> Iterator[None]:
    """A study's lock; a budget bounds the waiting for another runner's end."""
    with contextlib.ExitStack() as stack:
        with budget.alarm() if budget else contextlib.nullcontext():
            stack.enter_context(locked(folder))
        yield


def is_new(trial: Trial, outcomes: Outcomes) -> bool:
    """Whether a trial has no record."""
    return not record.path_of(outcomes.results, trial.study, trial.id).exists()


def was_tried(trial: Trial, outcomes: Outcomes) -> bool:
    """Whether an earlier run left the record of a failure; it stands in the summary until there is a better one."""
    if is_new(trial, outcomes) or trial.id in outcomes.summary.records:
        return False
    if old := record.read_if_there(record.path_of(outcomes.results, trial.study, trial.id)):
        outcomes.summary.records[trial.id] = old
    return True


def due(study: Study, outcomes: Outcomes, rerun: bool | str) -> list[Trial]:
    """The trials to measure; those with a measured record and the refused ones enter the summary."""
    pending, summary = [], outcomes.summary
    again = _again(study, outcomes.results, rerun)
    for trial in study.trials:
        path = record.path_of(outcomes.results, study.name, trial.id)
        try:
            old = known(path, rerun is True)
        except record.Newer as error:
            print(f"left alone, and not measured: {error}", file=sys.stderr)
            continue
        if old and is_measured(old) and trial.id not in again:
            summary.records[trial.id] = old
        elif trial.id in study.refused and not outcomes.force:
            reason = study.refused[trial.id]
            if old and (is_measured(old) or old.reason == reason):  # the first: it was forced once
                summary.records[trial.id] = old
            else:
                outcomes.write(trial, "refused", reason)
        else:
            pending.append(trial)
    return pending


def _again(study: Study, results: Path, rerun: bool | str) -> set[str]:
    """The ids of the trials to measure though they have been; what took turns can be compared in its rounds only."""
    if rerun != "disturbed":
        return {trial.id for trial in study.trials if rerun}
    found = (record.read_if_there(record.path_of(results, study.name, trial.id)) for trial in study.trials)
    disturbed_ids = {one.id for one in found if one and disturbed(one)}
    whole = disturbed_ids and study.baseline.protocol.get("interleave")
    return {trial.id for trial in study.trials} if whole else disturbed_ids


def measure(pending: list[Trial], outcomes: Outcomes) -> None:
    """Measure trials, those of one build in one child."""
    summary = outcomes.summary
    if not summary.import_s:
        versions.warn()
        visible.warn()
        print("importing torch, diffusers and transformers: 10 s, or a minute from a cold disk", file=sys.stderr)
        with outcomes.budget.importing() if outcomes.budget else contextlib.nullcontext():
            summary.import_s = forkserver.start()
    with Progress(pending, outcomes.budget, outcomes.durations) as progress:
        outcomes.progress = progress
        parts = visits.parts(rounds.measure(grouped(pending), outcomes), outcomes)
        for groups in parts:
            while group := outcomes.next_group(groups):
                if left := Child(group, outcomes).run():
                    groups.insert(0, left)
            if len(parts) > 1:
                visits.visit(outcomes)
