"""One bar for all trials of a run: which trial, which stage, how long still. Lines where there is no terminal."""

from __future__ import annotations

import io
import sys
import threading
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from mic2e_bench.plan.trial import Trial

if TYPE_CHECKING:
    from mic2e_bench.tools.budget.budget import Budget
    from mic2e_bench.tools.budget.durations import Durations

BAR = "{desc} |{bar}| {percentage:3.0f}% [{elapsed}, {remaining} left{postfix}]"
LINE = "{desc} [{elapsed_s:.0f} s, about {remaining_s:.0f} s left{postfix}]"

# tqdm's own lock is a semaphore, which a runner that is killed would leave behind
tqdm.set_lock(threading.RLock())


class Progress:
    """Progress by estimated seconds, or without ``durations`` by the work (calls x steps x pixels).

    A bar in a terminal and in a notebook; elsewhere (a log of CI) one line for each trial that is done. The estimates
    that are left are made anew after each trial, from what it took as well, and scaled by how far they were off so far.
    """

    def __init__(self, trials: list[Trial], budget: Budget | None = None, durations: Durations | None = None) -> None:
        self.budget, self.finished = budget, 0.0
        self.estimate = durations.estimates if durations else lambda trials: {trial.id: trial.work for trial in trials}
        self.waiting = {trial.id: trial for trial in trials}
        self.shares = self.estimate(trials)
        self.names = {one.id: f"{one.study} {n}/{len(trials)} {one.label}" for n, one in enumerate(trials, 1)}
        self.lines = not (sys.stderr.isatty() or "ipykernel" in sys.modules)
        layout = {"bar_format": LINE if self.lines else BAR, "file": io.StringIO() if self.lines else None}
        self.bar = tqdm(
            total=sum(self.shares.values()), smoothing=0, mininterval=0, miniters=0, dynamic_ncols=True, **layout
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: Any) -> None:
        self.bar.close()

    def at(self, trial: Trial, stage: str, share: float) -> None:
        """This trial has reached ``stage``, with this share of its work behind it."""
        self._show(trial, stage, self.finished + share * self.shares.get(trial.id, 0.0))

    def done(self, trial: Trial, status: str) -> None:
        """This trial has its record."""
        self.waiting.pop(trial.id, None)
        self.finished += self.estimate([trial])[trial.id]
        self.shares = self.estimate([*self.waiting.values()])
        self.bar.total = self.finished + sum(self.shares.values())
        self._show(trial, status, self.finished)
        if self.lines:
            print(self.bar, file=sys.stderr, flush=True)

    def _show(self, trial: Trial, text: str, position: float) -> None:
        rest = f"{self.budget.left_s:.0f} s of the budget" if self.budget else ""
        name = self.names.get(trial.id, f"{trial.study} {trial.label}")  # a baseline that has its record is timed again
        self.bar.set_description_str(f"{name}: {text}", refresh=False)
        self.bar.set_postfix_str(rest, refresh=False)
        self.bar.update(position - self.bar.n)
        self.bar.refresh()
