"""Studies of weights from the hub get the commit of these weights before anything is measured."""

from __future__ import annotations

from dataclasses import replace

from mic2e_bench.catalog.models import sources
from mic2e_bench.plan.params import Study


def pinned(study: Study) -> Study:
    """The study with the commit of its weights, which the hub is asked for where no copy on this machine says it.

    The same study where there is nothing to ask, or nobody answers: its trials then say why weights are unavailable.
    """
    model = sources.pinned(study.baseline.model)
    if model is study.baseline.model:
        return study
    new = {trial.id: replace(trial, model=model) for trial in (study.baseline, *study.trials)}
    refused = {new[id].id: reason for id, reason in study.refused.items() if id in new}
    trials = tuple(new[trial.id] for trial in study.trials)
    return replace(study, baseline=new[study.baseline.id], trials=trials, refused=refused)
