"""One child process over trials that share a build, as the parent sees it: wait, kill, write the records."""

from __future__ import annotations

import math
import time
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from mic2e_bench.catalog.toggles import wait_policy
from mic2e_bench.machine import conditions, environment
from mic2e_bench.plan.trial import Trial
from mic2e_bench.run import forkserver, worker
from mic2e_bench.run.failures import died
from mic2e_bench.run.outcomes import Outcomes

HELD = 1 << 30  # bytes of a card that others must hold to matter: a driver keeps a few hundred MiB for itself


def start(trials: list[Trial], images: Path | None, log: Path) -> tuple[Any, Connection]:
    """Start a worker for trials that share a build: the process, and this end of its pipe.

    Without ``images`` it only times: no pictures, no memory.
    """
    return forkserver.call(worker.work, log, trials, images, policy=wait_policy.of(trials[0].settings))


class Child:
    """One child process over trials that share a build; ``left`` holds those without a record, in order."""

    role = ""  # of a child that only times what others measure: it makes no pictures

    def __init__(self, group: list[Trial], outcomes: Outcomes) -> None:
        self.left = {trial.id: trial for trial in group}
        self.again: list[Trial] = []  # what failed and is tried again, in another child
        self.outcomes, self.progress = outcomes, outcomes.progress
        self.device, self.timeout_s = group[0].settings["device"], group[0].protocol["timeout_s"]
        self.folder = outcomes.results / group[0].study
        attempt = len(outcomes.attempts.get(group[0].id, ()))
        names = [group[0].id, str(attempt + 1) if attempt else "", self.role, "log"]
        self.log = self.folder / "logs" / ".".join(filter(None, names))
        self.started, self.watch = environment.now(), conditions.Watch(self.device)
        self.card_before, self.process = self.watch.before["gpu"], None

    def begin(self, again: bool = False) -> None:
        """Start the process of a build; ``again``: for times alone."""
        self.stage, self.loaded = "load", False
        images = None if again or self.role else self.folder / "images"
        self.process, self.pipe = start(list(self.left.values()), images, self.log)
        self.deadline = self.began = time.monotonic()  # of the build, then of the trial
        self.deadline += self.timeout_s

    def run(self) -> list[Trial]:
        """Wait for its messages until it ends; returns the trials that are left for a fresh child."""
        self.begin()
        try:
            while self.left and self._step():
                pass
        finally:
            self.close()
        return [*self.left.values(), *self.again]

    def close(self) -> None:
        """End the process, whatever it does."""
        if self.process:
            self.process.kill()
            self.process.join()
            self.pipe.close()

    @property
    def current(self) -> Trial:
        """The trial that is being measured."""
        return next(iter(self.left.values()))

    def _step(self) -> bool:
        """Wait for one message, the child's end or the deadline; returns whether the child still works."""
        current = self.current
        budget = self.outcomes.budget
        left_s = max(0.0, min(self.deadline, budget.deadline if budget else math.inf) - time.monotonic())
        ready = wait([self.pipe, self.process.sentinel], timeout=left_s)
        # without a build none of the group can be measured; later only the one in flight is to blame
        blamed = [current.id] if self.loaded else list(self.left)
        if not ready:
            if budget and time.monotonic() >= budget.deadline:
                budget.cut(current, self.loaded, time.monotonic() - self.began, self.folder)
            for id in blamed:
                self._write(id, "timeout", f"longer than {self.timeout_s} s, in stage: {self.stage}")
            return False
        # a process that the child left behind may hold the pipe open: it says nothing, and it is not waited for
        message = forkserver.receive(self.pipe) if self.pipe in ready else None
        if message is None:
            self.process.join()
            status, reason = died(self.process.exitcode, self.stage, self.log)
            for id in blamed:
                self._write(id, status, reason)
            return False
        kind, *content = message
        if kind == "stage":
            self.stage, share = content
            if not self.loaded and self.stage != "load":
                self.loaded, self.began = True, time.monotonic()
            self.progress.at(current, self.stage, share)
            return True
        if kind == "done":
            self._done(*content)
        else:
            self._write(*content)
        self.began = time.monotonic()
        self.deadline = self.began + self.timeout_s
        return self._next_fits() and (kind == "done" or self._can_go_on(*content))

    def _next_fits(self) -> bool:
        """Whether the budget has time for the next trial on this build; those that take turns are one whole."""
        budget = self.outcomes.budget
        if not budget or not self.left or next(iter(self.left.values())).is_in_rounds:
            return True
        return budget.has_time_for(budget.durations.trial_s(self.current))

    def _can_go_on(self, id: str, status: str, reason: str) -> bool:
        """Whether the same process can measure what is left after a failure.

        Not after a call that ended half-way: a VAE may be left in another dtype, an offload's hooks half loaded, an
        allocator full of what nobody frees, a device in an error that stays. ``unavailable`` came before any call.
        """
        return status == "unavailable" and not any(self.outcomes.cannot_fit(trial) for trial in self.left.values())

    def _done(self, id: str, parts: dict[str, Any]) -> None:
        unapplied = {name: receipt for name, receipt in parts["receipts"].items() if not receipt["applied"]}
        reasons = [f"{name} {receipt['asked']}: {receipt['reason']}" for name, receipt in unapplied.items()]
        status = "not_applied" if reasons else "ok"
        if invalid := parts.pop("invalid", ()):  # what it made are no pictures
            status, reasons = "invalid", [*dict.fromkeys(invalid), *reasons]
        self._write(id, status, "; ".join(reasons), **parts)
        self.outcomes.summary.measured += 1
        self.outcomes.summary.calls_s += parts["timing"]["calls_s"]

    def _write(self, id: str, status: str, reason: str, **parts: Any) -> None:
        """The record of a trial that is over; one that is to be tried again has none yet."""
        trial, log = self.left.pop(id), f"logs/{self.log.name}"
        if self.outcomes.tries_again(trial, status, reason, log):
            self.again.append(trial)
            return
        times = {"started": self.started, "finished": environment.now()}
        clocks = parts.get("timing", {}).get("sm_mhz", ())
        parts["environment"] = {"log": log, **self.watch.finish(clocks), **times}
        parts["environment"]["remarks"] += parts.pop("remarks", [])
        held = (self.card_before or {}).get("used_bytes") or 0  # before this child was started
        if status == "oom" and held > HELD:
            parts["environment"]["held_by_others_bytes"] = held
            reason += f"; {held / 2**30:.1f} GiB of the card were taken before it began: free them and run again"
        self.outcomes.write(trial, status, reason, **parts)
        self.started, self.watch = environment.now(), conditions.Watch(self.device)
