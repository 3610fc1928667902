"""The parent: plan, lock, group, start, wait, kill, resume. It never imports torch and never polls."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from mic2e_bench import conditions, environment, record, server, store, versions
from mic2e_bench.budget import Budget, UsedUp, grouped
from mic2e_bench.ending import died
from mic2e_bench.outcomes import Outcomes, Summary
from mic2e_bench.params import Study
from mic2e_bench.progress import Progress
from mic2e_bench.store import locked
from mic2e_bench.trial import Trial

HELD = 1 << 30  # bytes of a card: a driver keeps a few hundred MiB of an idle one for itself


def run(
    studies: Iterable[Study],
    results: Path,
    *,
    rerun: bool = False,
    force: bool = False,
    budget: Budget | None = None,
    after: Callable[[], None] = lambda: None,
) -> Summary:
    """Measure every trial that has no measured record yet, study by study; failures become records too.

    ``rerun`` measures all anew; ``force`` measures the refused trials and those that could not fit as well. With a
    ``budget`` what has no record comes first, then what failed in an earlier run, as far as it fits. ``after()`` is
    called after each study. Raises ``BadInput`` where ``results`` cannot be written or the budget is too short for
    anything, ``KeyboardInterrupt`` after a clean stop.
    """
    summary, start = Summary(), time.perf_counter()
    results, studies = Path(results), list(studies)
    if budget:
        budget.check(studies, results)
    with contextlib.suppress(UsedUp):
        for only in (is_new, was_tried) if budget else (None,):
            for study in studies:
                with _held(results / study.name, budget):
                    outcomes = Outcomes(results, summary, force=force, budget=budget)
                    pending = [trial for trial in _pending(study, outcomes, rerun) if not only or only(trial, outcomes)]
                    if pending:
                        _measure(pending, outcomes)
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


def _pending(study: Study, outcomes: Outcomes, rerun: bool) -> list[Trial]:
    """The trials to measure; those with a measured record and the refused ones enter the summary."""
    pending, summary = [], outcomes.summary
    for trial in study.trials:
        path = record.path_of(outcomes.results, study.name, trial.id)
        try:
            old = store.known(path)
        except record.Newer as error:
            if not rerun:
                print(f"left alone, and not measured: {error}", file=sys.stderr)
                continue
            store.set_aside(path, error)
            old = None
        if old and old["status"] in record.MEASURED and not rerun:
            summary.records[trial.id] = old
        elif trial.id in study.refused and not outcomes.force:
            reason = study.refused[trial.id]
            if old and (old["status"] in record.MEASURED or old["reason"] == reason):  # the first: it was forced once
                summary.records[trial.id] = old
            else:
                outcomes.write(trial, "refused", reason)
        else:
            pending.append(trial)
    return pending


def _measure(pending: list[Trial], outcomes: Outcomes) -> None:
    """Measure trials, those of one build in one child."""
    from mic2e_bench import rounds

    summary = outcomes.summary
    if not summary.import_s:
        versions.warn()
        summary.import_s = _start(outcomes.budget)
    with Progress(pending, outcomes.budget) as progress:
        outcomes.progress = progress
        groups = rounds.measure(grouped(pending), outcomes)
        while group := outcomes.next_group(groups):
            if left := _Child(group, outcomes).run():
                groups.insert(0, left)


def _start(budget: Budget | None) -> float:
    """Start the server; returns the seconds that the import of the libraries took, of which a budget learns."""
    if not budget:
        return server.start()
    begin = time.perf_counter()
    try:
        with budget.importing():
            return server.start()
    finally:
        if (seconds := time.perf_counter() - begin) > 1:  # else it was running already
            budget.durations.imports = [seconds]


class _Child:
    """One child process over trials that share a build; ``left`` holds those without a record, in order."""

    def __init__(self, group: list[Trial], outcomes: Outcomes) -> None:
        self.left = {trial.id: trial for trial in group}
        self.again: list[Trial] = []  # what failed and is tried again, in another child
        self.outcomes, self.progress = outcomes, outcomes.progress
        self.device, self.timeout_s = group[0].settings["device"], group[0].protocol["timeout_s"]
        folder = outcomes.results / group[0].study
        attempt = len(outcomes.attempts.get(group[0].id, ()))
        self.log = folder / "logs" / f"{group[0].id}{f'.{attempt + 1}' if attempt else ''}.log"
        self.stage, self.loaded = "load", False
        self.started, self.watch = environment.now(), conditions.Watch(self.device)
        self.card_before = self.watch.before["gpu"]
        self.process, self.pipe = server.child(group, folder / "images", self.log)
        self.deadline = self.began = time.monotonic()  # of the build, then of the trial
        self.deadline += self.timeout_s

    def run(self) -> list[Trial]:
        """Wait for its messages until it ends; returns the trials that are left for a fresh child."""
        try:
            while self.left and self._step():
                pass
        finally:
            self.close()
        return [*self.left.values(), *self.again]

    def close(self) -> None:
        """End the process, whatever it does."""
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
                budget.cut(current, self.loaded, time.monotonic() - self.began, self.log.parent.parent)
            for id in blamed:
                self._write(id, "timeout", f"longer than {self.timeout_s} s, in stage: {self.stage}")
            return False
        # a process that the child left behind may hold the pipe open: it says nothing, and it is not waited for
        message = server.receive(self.pipe) if self.pipe in ready else None
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
        receipts = parts["receipts"].items()
        reasons = [f"{name} {r['asked']}: {r['reason']}" for name, r in receipts if not r["applied"]]
        status = "not_applied" if reasons else "ok"
        if invalid := parts.pop("invalid", ""):  # what it made are no pictures
            status, reasons = "invalid", [invalid, *reasons]
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
        if status == "oom" and (held := self._held_by_others()):
            parts["environment"]["held_by_others_bytes"] = held
            reason += f"; {held / 2**30:.1f} GiB of the card were taken before it began: free them and run again"
        self.outcomes.write(trial, status, reason, **parts)
        self.started, self.watch = environment.now(), conditions.Watch(self.device)

    def _held_by_others(self) -> int:
        """Bytes of the card that were in use before this child was started; 0 where they are too few to matter."""
        used = (self.card_before or {}).get("used_bytes") or 0
        return used if used > HELD else 0
