"""How long a search may go on: a number of trials or a time, and when it stops by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mic2e_bench import units
from mic2e_bench.errors import BadInput
from mic2e_bench.tools.tune import hypervolume

MOVED = 0.005  # of the hypervolume: less is no movement of the front


@dataclass(frozen=True)
class Allowance:
    """Trials, or seconds of measuring; the other is ``None``."""

    trials: int | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        return f"{self.trials} trials" if self.trials else f"{self.seconds / 60:g} minutes"


def parse(text: str, where: str = "--budget") -> Allowance:
    """``40`` (trials) or a time such as ``30m``. Raises ``BadInput``."""
    if re.fullmatch("[0-9]{1,9}", text.strip()):
        if not int(text):
            raise BadInput(f"{where}: {text} trials find nothing: write a number from 1, or a time such as 30m.")
        return Allowance(trials=int(text))
    return Allowance(seconds=units.working_time(text, where, "a number of trials such as 40, or a time such as 30m"))


def still(costs: np.ndarray, patience: int, worst: Sequence[float] | None = None) -> bool:
    """Whether the last ``patience`` trials have not moved the front: costs (lower is better) in the order of trials.

    ``worst`` are costs beyond which nothing counts (infinite where there is no limit).
    """
    costs = np.asarray(costs, dtype=float)
    if len(costs) <= patience:
        return False
    reference, ideal = hypervolume.frame(costs)
    if worst is not None:
        reference = np.minimum(reference, worst)
    if not (ideal < reference).all():
        return False  # nothing is within the limits yet
    now, before = (hypervolume.share(part, reference, ideal) for part in (costs, costs[:-patience]))
    return now > 0 and now - before <= MOVED * now
