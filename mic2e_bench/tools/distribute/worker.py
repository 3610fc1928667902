"""What runs in a worker's process: the local runner, over the trials that it is given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mic2e_bench.machine import environment
from mic2e_bench.plan.trial import Trial
from mic2e_bench.records import record
from mic2e_bench.run import runner
from mic2e_bench.run.outcomes import Outcomes, Summary
from mic2e_bench.tools import cluster


class Elsewhere(Outcomes):
    """Outcomes of a study that several workers measure: each record says on which of them it was."""

    host = ""  # what all records of the study have as their host
    seen: Mapping[str, Any] = {}

    def write(self, trial: Trial, status: str, reason: str, **parts: Any) -> None:
        """As ever, with the worker in its environment."""
        here = {"worker": dict(self.seen), **({"host": self.host} if self.host else {})}
        super().write(trial, status, reason, **{**parts, "environment": {**parts.get("environment", {}), **here}})


class Worker:
    """A slot of the cluster. It measures one unit of work at a time."""

    def __init__(self, folder: str, variables: Mapping[str, str | None]) -> None:
        """``folder``: the driver's, where this machine has it too; ``variables``: as they are for the driver."""
        if os.path.isdir(folder):
            os.chdir(folder)
        for name, value in variables.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        self.summary = Summary()

    def about(self, device: str, token: Path) -> dict[str, Any]:
        """The environment that its records will have, what this process sees, and whether it sees the driver's file."""
        return {"here": dict(environment.here(device)), "seen": cluster.seen(), "shared": token.exists()}

    def measure(
        self, trials: Sequence[Trial], baseline: Trial, results: Path, force: bool, host: str, too_large: list[Trial]
    ) -> dict[str, Any]:
        """Measure trials, which leaves their records; returns seconds spent, and the trials that ran out of memory.

        The study's baseline is visited again, and has its placebo, by whoever measures it; the others know its record.
        """
        mine = any(trial.id == baseline.id for trial in trials)
        before, import_s = self.summary.calls_s, self.summary.import_s
        outcomes = Elsewhere(results, self.summary, baseline=baseline if mine else None, force=force)
        outcomes.host, outcomes.seen, outcomes.too_large = host, cluster.seen(), list(too_large)
        if known := record.read_if_there(record.path_of(results, baseline.study, baseline.id)):
            self.summary.records.setdefault(known.id, known)
        runner.measure(list(trials), outcomes)
        spent = {"calls_s": self.summary.calls_s - before, "import_s": self.summary.import_s - import_s}
        return {**spent, "too_large": outcomes.too_large}
