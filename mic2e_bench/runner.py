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
    for study in studies:
        with locked(Path(results) / study.name):
            pending = []
            for trial in study.trials:
                old = record.read_if_there(record.path_of(results, study.name, trial.id))
                if old and old["status"] in record.MEASURED and not rerun:
                    summary.records[trial.id] = old
                elif trial.id in study.refused and not force:
                    _write(summary, results, trial, "refused", study.refused[trial.id])
                else:
                    pending.append(trial)
            if pending:
                _measure(pending, results, summary)
    summary.wall_s = time.perf_counter() - start
    return summary


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
                group = _child(group, results, summary, progress)


def _child(group: list[Trial], results: Path, summary: Summary, progress: Progress) -> list[Trial]:
    """Run one child over a group; returns the trials that are left for a fresh one after a crash or a timeout."""
    left = {trial.id: trial for trial in group}
    folder = Path(results) / group[0].study
    log = folder / "logs" / f"{group[0].id}.log"
    started, loaded, stage = environment.now(), False, "load"
    process, pipe = server.child(group, folder / "images", log)

    def write(id: str, status: str, reason: str, **parts: Any) -> None:
        nonlocal started
        times = {"started": started, "finished": environment.now(), "log": f"logs/{log.name}"}
        parts["environment"] = {**environment.here(group[0].settings["device"]), **parts.pop("seen", {}), **times}
        _write(summary, results, left[id], status, reason, **parts)
        progress.done(left.pop(id), status)
        started = environment.now()

    deadline = time.monotonic() + group[0].protocol["timeout_s"]
    try:
        while left:
            current = next(iter(left.values()))
            ready = wait([pipe, process.sentinel], timeout=max(0.0, deadline - time.monotonic()))
            if not ready:
                process.kill()
                write(current.id, "timeout", f"longer than {current.protocol['timeout_s']} s, in stage: {stage}")
                break
            message = server.receive(pipe) if pipe in ready else None
            if message is None:
                process.join()
                status, reason = died(process.exitcode, stage)
                # without a build none of the group can be measured; later only the one in flight is to blame
                for id in [current.id] if loaded else list(left):
                    write(id, status, reason)
                break
            kind, *content = message
            if kind == "stage":
                stage, share = content
                loaded = loaded or stage != "load"
                progress.at(current, stage, share)
                continue
            if kind == "done":
                id, parts = content
                applied = [r for r in parts["receipts"].values() if not r["applied"]]
                reasons = "; ".join(
                    f"{n} {r['asked']}: {r['reason']}" for n, r in parts["receipts"].items() if not r["applied"]
                )
                write(id, "not_applied" if applied else "ok", reasons, **parts)
                summary.measured += 1
                summary.calls_s += parts["timing"]["calls_s"]
            elif kind == "failed":
                id, status, reason = content
                write(id, status, reason)
            deadline = time.monotonic() + current.protocol["timeout_s"]
    finally:
        process.kill()
        process.join()
        pipe.close()
    return list(left.values())


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
