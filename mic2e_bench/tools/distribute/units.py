"""What a worker gets at once: the trials of a build, or all that take turns with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mic2e_bench.plan.trial import Trial, grouped


@dataclass
class Unit:
    """Trials that one worker measures after another or in turns; ``attempts`` counts the workers that died of it."""

    trials: list[Trial]
    attempts: int = 0


def of(pending: Sequence[Trial], baseline: Trial) -> list[Unit]:
    """The units of a study, that with the baseline first: the others' records need its repeats."""
    together = [trial for trial in pending if trial.is_in_rounds]
    groups = [*([together] if together else []), *grouped(trial for trial in pending if not trial.is_in_rounds)]
    return [Unit(group) for group in sorted(groups, key=lambda group: baseline not in group)]
