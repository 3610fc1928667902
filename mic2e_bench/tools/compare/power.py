"""What so many rounds can find: said before the head is measured, and beside every comparison.

The noise is the standard deviation of a round's change (of its logarithm). It is that of the rounds of both sides; of
the base alone, as if the head's were as noisy, where there is no head yet. What it takes to tell a change is from a
simulation of the very interval that ``compare`` draws its conclusions from, in normal noise (``statistics.tells``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mic2e_bench import statistics
from mic2e_bench.report.tabular import Table
from mic2e_bench.statistics import ENOUGH
from mic2e_bench.tools.compare import changes, match, thresholds
from mic2e_bench.tools.compare.changes import Pairing
from mic2e_bench.tools.compare.thresholds import RATIOS, Threshold
from mic2e_bench.units import NONE, digits

LEAST = 3  # rounds that show a noise
SHOWN = (6, 8, 12, 16, 24, 32)
METHOD = (
    "Found: the 95 % interval leaves no change out in 80 % of comparisons; simulated in normal noise of that size a "
    "round. A loss is called worse where all of its interval is beyond the threshold."
)


@dataclass(frozen=True)
class Power:
    """One metric of one trial; changes are in percent. ``None``: no noise is known."""

    study: str
    label: str
    metric: str
    threshold: float  # the change that matters
    measured: int  # rounds that are there
    rounds: int  # that ``finds`` and ``worse`` are said of: those, or six
    noise: float | None  # of a round
    finds: float | None  # the change that is told from none
    worse: float | None  # the loss that is called worse than the threshold
    needed: int | None  # rounds that tell the threshold from no change; ``None`` where 48 do not either

    @property
    def said(self) -> str:
        """In one sentence."""
        what = f"{self.study} {self.label}: {self.metric}"
        if self.noise is None:
            rounds = f"{self.measured} round{'' if self.measured == 1 else 's'}"
            return (
                f"{what}: nothing is known of the noise between rounds ({rounds}; {LEAST} show it, {ENOUGH} conclude)"
            )
        needed = f"{self.needed} rounds" if self.needed else f"more than {statistics.MOST_ROUNDS} rounds"
        return (
            f"{what}: {self.rounds} rounds at this noise ({digits(self.noise, 2)} % a round) find a change of "
            f"{digits(self.finds, 2)} % (80 % of the time), and call a loss of {digits(self.worse, 2)} % worse than "
            f"{digits(self.threshold, 2)} %; to find {digits(self.threshold, 2)} % takes {needed}"
        )


def of(pairing: Pairing, asked: Sequence[Threshold]) -> Iterator[Power]:
    """The power of each ratio that is checked and is no exact number."""
    head = pairing.match.head
    for metric in _checked(asked):
        if found := changes.sides(metric, pairing):
            yield _power(head.study, head.label, metric, statistics.differences(*found[:2]), asked)


def of_base(folder: Path, fail_on: Sequence[str]) -> list[Power]:
    """The same before there is a head, from the rounds of the base. Raises ``BadInput``."""
    base = match.read(folder)
    asked = thresholds.read(fail_on, RATIOS) if fail_on else thresholds.by_default(RATIOS)
    found = []
    for trial in base.trials:
        for metric in _checked(asked):
            if rounds := changes.samples(trial, metric):
                logs = np.log([statistics.middle([samples]) for samples in rounds]) * math.sqrt(2)
                found.append(_power(trial.study, trial.label, metric, logs, asked))
    return found


def _checked(asked: Sequence[Threshold]) -> list[str]:
    return [name for name in RATIOS if name != "weights" and any(one.covers(name) for one in asked)]


def _power(study: str, label: str, metric: str, logs: np.ndarray, asked: Sequence[Threshold]) -> Power:
    share, count = thresholds.of(metric, asked), len(logs)
    rounds = min(max(count, ENOUGH), statistics.MOST_ROUNDS)
    if count < LEAST:
        return Power(study, label, metric, share, count, rounds, None, None, None, None)
    noise = float(np.std(logs, ddof=1))
    found, level = math.exp(statistics.tells(rounds) * noise), 1 + share / 100
    needed = statistics.rounds_to_tell(math.log(level) / noise) if noise else ENOUGH
    percent = [100 * (math.exp(noise) - 1), 100 * (found - 1), 100 * (level * found - 1)]
    return Power(study, label, metric, share, count, rounds, *percent, needed)


def worst(powers: Sequence[Power]) -> list[str]:
    """A sentence for each metric: of the trial where it finds least."""
    found: dict[str, Power] = {}
    for one in powers:
        if one.metric not in found or _least(one) > _least(found[one.metric]):
            found[one.metric] = one
    return [f"Power, at worst: {one.said}" for one in found.values()]


def _least(one: Power) -> float:
    return math.inf if one.finds is None else one.finds


def table(powers: Sequence[Power]) -> Table:
    """A row a metric of a trial: the change that is found by so many rounds, and how many the threshold takes."""
    rows = []
    for one in powers:
        log = math.log1p(one.noise / 100) if one.noise is not None else None
        cells = [NONE if log is None else f"{digits(100 * math.expm1(log * statistics.tells(n)), 2)} %" for n in SHOWN]
        noise = NONE if log is None else f"{digits(one.noise, 2)} %"
        needed = NONE if log is None else str(one.needed or f"> {statistics.MOST_ROUNDS}")
        threshold = f"{digits(one.threshold, 2)} %"
        rows.append((f"{one.study} {one.label}", one.metric, str(one.measured), noise, *cells, threshold, needed))
    header = ("trial", "metric", "measured", "noise a round", *(f"{n} rounds find" for n in SHOWN))
    return Table((*header, "threshold", "rounds for it"), rows, METHOD, left=(0, 1))
