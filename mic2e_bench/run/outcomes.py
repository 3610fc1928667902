"""What becomes of the trials of a run: their records, what is skipped, what is tried again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mic2e_bench import files
from mic2e_bench.catalog.toggles import wait_policy
from mic2e_bench.machine import environment
from mic2e_bench.plan.trial import Trial
from mic2e_bench.records import record
from mic2e_bench.records.record import Record
from mic2e_bench.run import forkserver, skipping
from mic2e_bench.run.progress import Progress

if TYPE_CHECKING:
    from mic2e_bench.tools.budget.budget import Budget
    from mic2e_bench.tools.budget.durations import Durations

REPEATS = "repeats_peak_rss_bytes"
RETRIED = ("error", "timeout")  # what a protocol's ``retries`` tries again


@dataclass
class Summary:
    """What a run did: records by trial id, how many were measured now, and where the wall time went (seconds)."""

    records: dict[str, Record] = field(default_factory=dict)
    measured: int = 0
    wall_s: float = 0.0
    calls_s: float = 0.0
    import_s: float = 0.0
    left: str = ""  # what a budget left for the next run, in one line

    @property
    def failed(self) -> dict[str, Record]:
        """The records whose status is not ``ok``."""
        return {id: found for id, found in self.records.items() if found.status != "ok"}


@dataclass
class Outcomes:
    """What the children of one study have in common: where their records go, and what failed before them."""

    results: Path
    summary: Summary
    progress: Progress | None = None
    baseline: Trial | None = None  # of the study
    force: bool = False  # nothing is skipped
    budget: Budget | None = None
    durations: Durations | None = None  # what is known of how long trials take
    too_large: list[Trial] = field(default_factory=list)  # what ran out of memory
    attempts: dict[str, list[dict[str, str]]] = field(default_factory=dict)  # failures that were tried again, by trial

    def write(self, trial: Trial, status: str, reason: str, **parts: Any) -> None:
        """The record of a trial. A full disk is no trial's fault: ``unwritable`` raises ``files.CannotWrite``."""
        if status == "unwritable":
            raise files.CannotWrite(reason if reason.startswith("cannot write") else f"cannot write: {reason}")
        # what others held says nothing of the trial's size
        if status == "oom" and not parts.get("environment", {}).get("held_by_others_bytes"):
            self.too_large.append(trial)
        made_by = forkserver.start_method(wait_policy.of(trial.settings))
        here = {**environment.here(trial.settings["device"]), "start_method": made_by}
        here["host"] = environment.host(here, (one.environment for one in self.summary.records.values()))
        here |= parts.get("environment", {})
        if trial.id in self.attempts:
            here["attempts"] = self.attempts[trial.id]
        if repeats := self._repeats(trial, parts.get("memory", {})):
            parts["memory"] = {**parts["memory"], REPEATS: repeats}
        made = record.make(trial, status, reason, **{**parts, "environment": here})
        record.write(self.results, made)
        self.summary.records[trial.id] = made
        if self.durations:
            self.durations.add(made)
        if self.progress:
            self.progress.done(trial, status)

    def _repeats(self, trial: Trial, memory: Mapping[str, Any]) -> list[int] | None:
        """How far its study's baseline repeated a peak, for a record that has a peak: it then says so by itself."""
        known = [memory, *(one.memory for one in self.summary.records.values() if one.study == trial.study)]
        return next((each[REPEATS] for each in known if REPEATS in each), None) if memory else None

    def next_group(self, groups: list[list[Trial]]) -> list[Trial]:
        """Take the next trials of one build that may fit into memory and into the budget; empty where none are left."""
        while groups and (group := self.budget.take(groups) if self.budget else groups.pop(0)):
            if group := self.without_skipped(group):
                return group
        return []

    def begins(self, groups: list[list[Trial]]) -> bool:
        """Whether these fit into the budget, where there is one: as a whole or not at all."""
        return self.budget is None or self.budget.begins(groups)

    def without_skipped(self, group: list[Trial]) -> list[Trial]:
        """The trials that may fit; the others get their record."""
        reasons = {trial.id: self.cannot_fit(trial) for trial in group}
        for trial in group:
            if reasons[trial.id]:
                self.write(trial, "skipped", reasons[trial.id])
        return [trial for trial in group if not reasons[trial.id]]

    def cannot_fit(self, trial: Trial) -> str:
        """Why a trial need not be tried; empty where it may fit, or is to be forced."""
        return "" if self.force else skipping.why(trial, self.too_large)

    def tries_again(self, trial: Trial, status: str, reason: str, log: str) -> bool:
        """Whether the protocol wants another attempt after this one, which is then kept for the record."""
        done = len(self.attempts.get(trial.id, ()))
        if status not in RETRIED or done >= trial.protocol.get("retries", 0):
            return False
        self.attempts.setdefault(trial.id, []).append({"status": status, "reason": reason, "log": log})
        return True
