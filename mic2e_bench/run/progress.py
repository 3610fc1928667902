"""One bar for all trials of a run: which trial, which stage, how long still. Lines where there is no terminal."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from mic2e_bench.plan.trial import Trial

if TYPE_CHECKING:
    from mic2e_bench.tools.budget.budget import Budget

# tqdm's own lock is a semaphore, which a runner that is killed would leave behind
tqdm.set_lock(threading.RLock())


class Progress:
    """Progress by estimated work (calls x steps x pixels), so that the time left fits a sweep over steps.

    A bar in a terminal and in a notebook; elsewhere (a log of CI) one line for each trial that is done.
    """

    def __init__(self, trials: list[Trial], budget: Budget | None = None) -> None:
        self.budget = budget
        self.places = {trial.id: index for index, trial in enumerate(trials, 1)}
        self.finished, self.total, self.start = 0.0, sum(trial.work for trial in trials), time.monotonic()
        layout = "{desc} |{bar}| {percentage:3.0f}% [{elapsed}, {remaining} left]"
        self.lines = not (sys.stderr.isatty() or "ipykernel" in sys.modules)
        self.bar = tqdm(
            total=self.total, bar_format=layout, mininterval=0, miniters=0, dynamic_ncols=True, disable=self.lines
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: Any) -> None:
        self.bar.close()

    def at(self, trial: Trial, stage: str, share: float) -> None:
        """This trial has reached ``stage``, with this share of its work behind it."""
        self._move(self.finished + share * trial.work, f"{self._place(trial)} · {stage}")

    def done(self, trial: Trial, status: str) -> None:
        """This trial has its record."""
        self.finished += trial.work
        self._move(self.finished, f"{self._place(trial)} · {status}")
        if self.lines:
            elapsed = time.monotonic() - self.start
            left = elapsed / self.finished * (self.total - self.finished)
            print(
                f"{self._place(trial)}: {status} [{elapsed:.0f} s, about {left:.0f} s left{self._rest()}]",
                file=sys.stderr,
                flush=True,
            )

    def _place(self, trial: Trial) -> str:
        return f"{trial.study} {self.places[trial.id]}/{len(self.places)} {trial.label}"

    def _rest(self) -> str:
        return f"; {self.budget.left_s:.0f} s of the budget" if self.budget else ""

    def _move(self, position: float, text: str) -> None:
        self.bar.set_description_str(text + self._rest(), refresh=False)
        self.bar.update(position - self.bar.n)
        self.bar.refresh()
