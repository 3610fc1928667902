"""The journal of a search: Optuna's study in ``results/<study>/tune/journal.log``, by what is searched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from mic2e_bench.plan.trial import Trial, fingerprint, identifying
from mic2e_bench.tools.recommend.point import QUALITY
from mic2e_bench.tools.tune.sampler import BY_DEFAULT, sampler

if TYPE_CHECKING:
    from mic2e_bench.tools.tune.looking import Looking

JOURNAL = "journal.log"


def opened(folder: Path, bench: Looking, baselines: Sequence[Trial], by: str = BY_DEFAULT) -> optuna.Study:
    """The trials so far of the same space, protocols (by their baselines), quantities, limits and sampler."""
    axes = [[a.name, a.choices, {n: list(map(str, v)) for n, v in a.when.items()}] for a in bench.space.axes]
    base = [identifying(one.content) for one in baselines]
    name = fingerprint([base, axes, bench.names, bench.columns.metric, dict(bench.limits), by])
    folder.mkdir(parents=True, exist_ok=True)
    storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ways = ["maximize" if quantity == QUALITY else "minimize" for quantity in bench.names]
    return optuna.create_study(
        study_name=name, storage=storage, sampler=sampler(by), directions=ways, load_if_exists=True
    )


def latest(folder: Path) -> optuna.Study:
    """The search of a journal that was begun last, to read."""
    storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    names = [one.study_name for one in optuna.get_all_study_summaries(storage=storage)]
    return optuna.load_study(study_name=names[-1], storage=storage)
