"""The search: ask the sampler for points, measure them, tell it what they are worth, until the budget is spent.

Optuna keeps every trial in ``results/<study>/tune/journal.log``, so that the same command goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState

from mic2e_bench.plan.trial import fingerprint, identifying
from mic2e_bench.records import comparable
from mic2e_bench.records.record import Record
from mic2e_bench.tools.recommend.recommend import QUALITY
from mic2e_bench.tools.tune.budget import Allowance, still
from mic2e_bench.tools.tune.guesses import guesses
from mic2e_bench.tools.tune.measuring import Columns, Measuring
from mic2e_bench.tools.tune.sampler import START, Exhausted, bad_values, params_of, point_of, propose, sampler
from mic2e_bench.tools.tune.space import GridPoint, Space

BATCH = 4  # points that are asked for at once, so that those of one build share a process


@dataclass
class Search:
    """One search over a space. ``limits`` maps quantities to what is still of use (s, bytes, %).

    A quality below 0 % is of no use in any case: it is worse than a picture without information.
    """

    measuring: Measuring
    space: Space
    columns: Columns
    limits: Mapping[str, float]
    budget: Allowance
    patience: int
    folder: Path  # of the journal
    final_cost: float = 1.0  # of a finalist, in trials: an estimate from the work of both protocols
    most: int = 8  # finalists
    study: optuna.Study = field(init=False)

    def __post_init__(self) -> None:
        if QUALITY in self.columns.names:
            self.limits = {QUALITY: 0.0, **self.limits}
        worst = [_cost(name, self.limits[name]) if name in self.limits else np.inf for name in self.columns.names]
        self.worst = np.array(worst)
        self.study = self._open()

    def _open(self) -> optuna.Study:
        """The search's trials so far: those of the same space, baseline, protocol and limits."""
        base = identifying(self.measuring.study.baseline.content)
        axes = [[a.name, a.choices, {n: list(map(str, v)) for n, v in a.when.items()}] for a in self.space.axes]
        name = fingerprint([base, axes, self.columns.names, self.columns.metric, dict(self.limits)])
        self.folder.mkdir(parents=True, exist_ok=True)
        storage = JournalStorage(JournalFileBackend(str(self.folder / "journal.log")))
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        ways = ["maximize" if quantity == QUALITY else "minimize" for quantity in self.columns.names]
        return optuna.create_study(
            study_name=name, storage=storage, sampler=sampler(), directions=ways, load_if_exists=True
        )

    def run(self) -> str:
        """Search until something ends it; returns what did."""
        self._start()
        while not (why := self._over()):
            begin = monotonic()
            batch = self._ask()
            if not batch:
                return "every point of the space that works was measured"
            records = self.measuring.measure([point for _, point in batch])
            comparable.require_one([self.measuring.read(self.measuring.study.baseline), *records.values()])
            for trial, point in batch:
                self._tell(trial, records[point])
            self.study.set_user_attr("spent_s", self.spent_s + monotonic() - begin)
            self._say()
        return why

    def _start(self) -> None:
        """First guesses in a new search; in one that goes on, what was in flight when it stopped."""
        if not self.study.get_trials(deepcopy=False):
            for name, point in guesses(self.space).items():
                self.study.enqueue_trial(params_of(self.space, point), user_attrs={"guess": name}, skip_if_exists=True)
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.study.tell(trial.number, state=TrialState.FAIL)
            if trial.params:
                self.study.enqueue_trial(trial.params, user_attrs=trial.user_attrs)

    def _over(self) -> str:
        """What ends the search now; empty while it goes on."""
        tried = self.tried
        if self.budget.trials and tried >= self.budget.trials:
            return f"the budget of {self.budget} is spent"
        if self.budget.seconds and tried and self.spent_s * (1 + 1 / tried) + self.reserve_s > self.budget.seconds:
            return f"of the budget of {self.budget} only the finalists' share is left"
        names = self.columns.names
        found = [[_cost(*pair) for pair in zip(names, trial.values, strict=True)] for trial in self.measured]
        return f"the front has not moved for {self.patience} trials" if still(found, self.patience, self.worst) else ""

    def _ask(self) -> list[tuple[Trial, GridPoint]]:
        """The next points, first guesses before others; within a number of trials all initial points at once."""
        count = BATCH
        if self.budget.trials:
            count = min(max(BATCH, START - self.tried), self.budget.trials - self.tried)
        tried = [*self.measured, *self.failed]
        taken, bad = {point_of(self.space, trial.params) for trial in tried}, bad_values(tried)
        batch: list[tuple[Trial, GridPoint]] = []
        with contextlib.suppress(Exhausted):
            for _ in range(count):
                batch.append(propose(self.study, self.space, taken, bad))
                taken.add(batch[-1][1])
        return batch

    def _tell(self, trial: Trial, found: Record) -> None:
        trial.set_user_attr("record", found.id)
        values = self.columns.point(found).values if found.status == "ok" else {}
        if any(values.get(name) is None for name in self.columns.names):
            wrong = comparable.unapplied(found)
            trial.set_user_attr("blamed", [axis.name for axis in self.space.axes if axis.setting in wrong])
            trial.set_user_attr("raised", found.status == "error")
            trial.set_user_attr("failed", f"{found.status}: {found.reason or 'no value'}")
            self.study.tell(trial, state=TrialState.FAIL)
            return
        for name, limit in self.limits.items():
            trial.set_constraint(name, _cost(name, values[name]) - _cost(name, limit))
        self.study.tell(trial, [values[name] for name in self.columns.names])

    def _say(self) -> None:
        if self.budget.seconds:
            left = max(0.0, self.budget.seconds - self.spent_s)
        else:
            left = self.spent_s / max(1, self.tried) * (self.budget.trials - self.tried) + self.reserve_s
        said = f"{self.tried} tried, {self.front} on the front [{self.spent_s:.0f} s, at most about {left:.0f} s left]"
        print(f"tune: {said}", file=sys.stderr, flush=True)

    @property
    def front(self) -> int:
        """How many trials are on the front."""
        return len(self.study.best_trials) if self.measured else 0

    @property
    def reserve_s(self) -> float:
        """Seconds that the finalists will take, estimated from what trials took."""
        return min(self.most, self.front) * self.final_cost * self.spent_s / max(1, self.tried)

    @property
    def measured(self) -> list[optuna.trial.FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    @property
    def failed(self) -> list[optuna.trial.FrozenTrial]:
        """Trials that were measured in vain, with the reason in their attribute ``failed``."""
        return [trial for trial in self.study.get_trials(deepcopy=False) if "failed" in trial.user_attrs]

    @property
    def tried(self) -> int:
        return len(self.measured) + len(self.failed)

    @property
    def spent_s(self) -> float:
        return self.study.user_attrs.get("spent_s", 0.0)

    def points(self) -> list[GridPoint]:
        """The points that were measured, in the order of their trials."""
        return list(dict.fromkeys(point_of(self.space, trial.params) for trial in self.measured))


def _cost(name: str, value: float) -> float:
    return -value if name == QUALITY else value
