"""Better, worse, the same, or inconclusive: one rule for every metric.

With a change whose 95 % interval is ``[low, high]`` (turned so that above zero is a loss) and the threshold ``t``:

worse          ``low > t``: all that the interval holds is a loss that matters
better         ``high < -t``
same           ``-t <= low`` and ``high <= t``: nothing in it matters
inconclusive   neither: the interval is too wide, or lies across a threshold; more rounds tell
missing        one side measured the trial, or the base the metric, and the other did not

Where there is no interval a ratio is inconclusive; a difference between pictures is what it is on these pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BETTER, WORSE, SAME, INCONCLUSIVE, MISSING = "better", "worse", "same", "inconclusive", "missing"
WORDS = (WORSE, INCONCLUSIVE, MISSING, BETTER, SAME)
STATUS = "status"


@dataclass(frozen=True)
class Verdict:
    """One metric of one trial.

    ``change`` and ``ci95`` are in ``unit``: percent of the base for ratios, else the metric's own. ``base`` and
    ``head`` are the two values in words; ``gated`` says whether a loss lets the comparison fail. ``seconds`` is what
    the trial took at the head (at the base, where the head has none), ``started`` when that began (ISO 8601).
    """

    study: str
    label: str
    metric: str
    word: str
    change: float | None = None
    ci95: tuple[float, float] | None = None
    threshold: float = 0.0
    unit: str = "%"
    base: str = ""
    head: str = ""
    gated: bool = False
    note: str = ""
    seconds: float = 0.0
    started: str = ""

    @property
    def fails(self) -> bool:
        return self.gated and self.word in (WORSE, MISSING)

    @property
    def is_open(self) -> bool:
        """Whether it was asked and cannot be answered."""
        return self.gated and self.word == INCONCLUSIVE


def worst_first(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Worse, what was asked and cannot be answered, missing, inconclusive, better, same.

    Among those of one word what is checked comes first, then the change that is the most of its threshold; a trial that
    did not run has no change and comes before them.
    """
    return sorted(verdicts, key=lambda one: (_rank(one), not one.gated, -_size(one)))


def _rank(one: Verdict) -> int:
    ranks = {WORSE: 0, INCONCLUSIVE: 1 if one.gated else 3, MISSING: 2, BETTER: 4, SAME: 5}
    return ranks[one.word]


def _size(one: Verdict) -> float:
    if one.change is None:
        return math.inf
    return abs(one.change) / (one.threshold or 1.0)


def judge(change: float, ci95: Sequence[float] | None, threshold: float, lower_is_better: bool, exact: bool) -> str:
    """The rule above. ``exact`` says that a change without an interval is certain."""
    if ci95 is None and not exact:
        return INCONCLUSIVE
    low, high = ci95 or (change, change)
    if not lower_is_better:
        low, high = -high, -low
    if low > threshold:
        return WORSE
    if high < -threshold:
        return BETTER
    return SAME if -threshold <= low and high <= threshold else INCONCLUSIVE
