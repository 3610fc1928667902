"""The parent: plan, lock, group, start, wait, kill, resume. It never imports torch and never polls."""

from __future__ import annotations

import contextlib
import fcntl
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from mic2e_bench import environment, record, server
from mic2e_bench.errors import BadInput
from mic2e_bench.params import Study
from mic2e_bench.progress import Progress
from mic2e_bench.trial import Trial


@dataclass
class Summary:
    """What a run did: records by trial id, how many were measured now, and where the wall time went (seconds)."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    measured: int = 0
    wall_s: float = 0.0
    calls_s: float = 0.0
    import_s: float = 0.0

    @property
    def failed(self) -> dict[str, dict[str, Any]]:
        """The records whose status is not ``ok``."""
        return {id: found for id, found in self.records.items() if found["status"] != "ok"}


def run(studies: Iterable[Study], results: Path, *, rerun: bool = False, force: bool = False) -> Summary:
    """Measure every trial that has no measured record yet, study by study; failures become records too.

    ``rerun`` measures all anew; ``force`` builds refused trials as well. Raises ``BadInput`` where ``results`` cannot
    be written, ``KeyboardInterrupt`` after a clean stop.
    """
    summary, start = Summary(), time.perf_counter()
    results = Path(results)
    for study in studies:
        with locked(results / study.name):
            pending = _pending(study, results, summary, rerun, force)
            if pending:
                _measure(pending, results, summary)
    summary.wall_s = time.perf_counter() - start
    return summary


def _pending(study: Study, results: Path, summary: Summary, rerun: bool, force: bool) -> list[Trial]:
    """The trials to measure; those with a measured record and the refused ones enter the summary."""
    pending = []
    for trial in study.trials:
        old = record.read_if_there(record.path_of(results, study.name, trial.id))
        if old and old["status"] in record.MEASURED and not rerun:
            summary.records[trial.id] = old
        elif trial.id in study.refused and not force:
            reason = study.refused[trial.id]
            if old and (old["status"] in record.MEASURED or old["reason"] == reason):  # the first: it was forced once
                summary.records[trial.id] = old
            else:
                _write(summary, results, trial, "refused", reason)
        else:
            pending.append(trial)
    return pending


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a study for this process; a second runner waits, then finds the first one's records.

    The lock goes with the process however it ends.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a+")
    except OSError as error:
        raise BadInput(
            f"cannot write {folder}: {error.strerror}. Give a folder that can be written: --results DIR."
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{folder.name}: another run is measuring this study; waiting for it to end.", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _measure(pending: list[Trial], results: Path, summary: Summary) -> None:
    """Measure trials, those of one build in one child."""
    if not summary.import_s:
        summary.import_s = server.start()
    groups: dict[str, list[Trial]] = {}
    for trial in pending:
        groups.setdefault(trial.build_key, []).append(trial)
    with Progress(pending) as progress:
        for group in groups.values():
            while group:
                group = _Child(group, results, summary, progress).run()


class _Child:
    """One child process over trials that share a build; ``left`` holds those without a record, in order."""

    def __init__(self, group: list[Trial], results: Path, summary: Summary, progress: Progress) -> None:
        self.left = {trial.id: trial for trial in group}
        self.results, self.summary, self.progress = results, summary, progress
        self.device, self.timeout_s = group[0].settings["device"], group[0].protocol["timeout_s"]
        folder = results / group[0].study
        self.log = folder / "logs" / f"{group[0].id}.log"
        self.stage, self.loaded, self.started = "load", False, environment.now()
        self.process, self.pipe = server.child(group, folder / "images", self.log)
        self.deadline = time.monotonic() + self.timeout_s

    def run(self) -> list[Trial]:
        """Wait for its messages until it ends; returns the trials that are left for a fresh child."""
        try:
            while self.left and self._step():
                pass
        finally:
            self.process.kill()
            self.process.join()
            self.pipe.close()
        return list(self.left.values())

    def _step(self) -> bool:
        """Wait for one message, the child's end or the deadline; returns whether the child still works."""
        current = next(iter(self.left.values()))
        left_s = max(0.0, self.deadline - time.monotonic())
        ready = wait([self.pipe, self.process.sentinel], timeout=left_s)
        # without a build none of the group can be measured; later only the one in flight is to blame
        blamed = [current.id] if self.loaded else list(self.left)
        if not ready:
            for id in blamed:
                self._write(id, "timeout", f"longer than {self.timeout_s} s, in stage: {self.stage}")
            return False
        # a process that the child left behind may hold the pipe open: it says nothing, and it is not waited for
        message = server.receive(self.pipe) if self.pipe in ready else None
        if message is None:
            self.process.join()
            status, reason = died(self.process.exitcode, self.stage)
            for id in blamed:
                self._write(id, status, reason)
            return False
        kind, *content = message
        if kind == "stage":
            self.stage, share = content
            self.loaded = self.loaded or self.stage != "load"
            self.progress.at(current, self.stage, share)
            return True
        if kind == "done":
            self._done(*content)
        else:
            self._write(*content)
        self.deadline = time.monotonic() + self.timeout_s
        return True

    def _done(self, id: str, parts: dict[str, Any]) -> None:
        receipts = parts["receipts"].items()
        reasons = [f"{name} {r['asked']}: {r['reason']}" for name, r in receipts if not r["applied"]]
        self._write(id, "not_applied" if reasons else "ok", "; ".join(reasons), **parts)
        self.summary.measured += 1
        self.summary.calls_s += parts["timing"]["calls_s"]

    def _write(self, id: str, status: str, reason: str, **parts: Any) -> None:
        here = {**environment.here(self.device), "log": f"logs/{self.log.name}"}
        parts["environment"] = {**here, "started": self.started, "finished": environment.now()}
        trial = self.left.pop(id)
        _write(self.summary, self.results, trial, status, reason, **parts)
        self.progress.done(trial, status)
        self.started = environment.now()


def died(exitcode: int | None, stage: str) -> tuple[str, str]:
    """Status and reason for a child that ended without a word."""
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        if -exitcode == signal.SIGKILL and environment.oom_kills() > server.oom_kills_at_start():
            return "oom", f"the kernel's out-of-memory killer ended the process in stage: {stage}"
        return "error", f"the process was ended by {name} in stage: {stage}"
    return "error", f"the process exited with code {exitcode} in stage: {stage}"


def _write(summary: Summary, results: Path, trial: Trial, status: str, reason: str, **parts: Any) -> None:
    parts.setdefault("environment", environment.here(trial.settings["device"]))
    made = record.make(trial, status, reason, **parts)
    record.write(results, made)
    summary.records[trial.id] = made
