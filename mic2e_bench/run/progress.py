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

BAR = "{desc} |{bar}| {percentage:3.0f}% [{elapsed}, {remaining} left{postfix}]"
LINE = "{desc} [{elapsed_s:.0f} s, about {remaining_s:.0f} s left{postfix}]"

# tqdm's own lock is a semaphore, which a runner that is killed would leave behind
tqdm.set_lock(threading.RLock())


class Progress:
    """Progress by estimated work (calls x steps x pixels), so that the time left fits a sweep over steps.

    A bar in a terminal and in a notebook; elsewhere (a log of CI) one line for each trial that is done.
    """

    def __init__(self, trials: list[Trial], budget: Budget | None = None) -> None:
        self.budget, self.finished = budget, 0.0
        self.names = {one.id: f"{one.study} {n}/{len(trials)} {one.label}" for n, one in enumerate(trials, 1)}
        self.lines = not (sys.stderr.isatty() or "ipykernel" in sys.modules)
        layout = {"bar_format": LINE if self.lines else BAR, "file": io.StringIO() if self.lines else None}
        total = sum(trial.work for trial in trials)
        self.bar = tqdm(total=total, smoothing=0, mininterval=0, miniters=0, dynamic_ncols=True, **layout)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: Any) -> None:
        self.bar.close()

    def at(self, trial: Trial, stage: str, share: float) -> None:
        """This trial has reached ``stage``, with this share of its work behind it."""
        self._show(trial, stage, self.finished + share * trial.work)

    def done(self, trial: Trial, status: str) -> None:
        """This trial has its record."""
        self.finished += trial.work
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
