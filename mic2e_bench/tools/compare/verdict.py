"""Better, worse, the same, or inconclusive: one rule for every metric.

With a change whose 95 % interval is ``[low, high]`` (turned so that above zero is a loss) and the threshold ``t``:

worse          ``low > t``: all that the interval holds is a loss that matters
better         ``high < -t``
same           ``-t <= low`` and ``high <= t``: nothing in it matters
inconclusive   neither: the interval is too wide, or lies across a threshold; more rounds tell

Where there is no interval a ratio is inconclusive; a difference between pictures is what it is on these pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BETTER, WORSE, SAME, INCONCLUSIVE = "better", "worse", "same", "inconclusive"
WORDS = (WORSE, INCONCLUSIVE, BETTER, SAME)
STATUS = "status"


@dataclass(frozen=True)
class Verdict:
    """One metric of one trial.

    ``change`` and ``ci95`` are in ``unit``: percent of the base for ratios, else the metric's own. ``base`` and
    ``head`` are the two values in words; ``gated`` says whether a loss lets the comparison fail.
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

    @property
    def fails(self) -> bool:
        return self.gated and self.word == WORSE


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
