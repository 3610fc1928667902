"""Percentiles of latencies, with intervals over independent runs.

The requests of one run are no independent samples: who waits behind a long queue has a neighbour who waits as long. So
a run counts as one value, and what several runs give has the exact interval of ``statistics.paired``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mic2e_bench import statistics, units

SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


class Figure(NamedTuple):
    """A value with its 95 % interval, or ``None`` for either where it cannot be had."""

    value: float | None
    interval: list[float] | None

    def text(self, factor: float = 1.0) -> str:
        """``1.20 [1.10, 1.31]``, three significant digits; a dash where there is none."""
        if self.value is None:
            return units.NONE
        shown = [units.digits(end * factor) for end in self.interval or ()]
        return units.digits(self.value * factor) + (f" [{', '.join(shown)}]" if shown else "")


def of_run(samples: Sequence[float], share: float) -> float | None:
    """A percentile of one run; ``None`` where it has too few requests for one of them to lie beyond it."""
    if len(samples) * (1 - share) < 1 - 1e-9:
        return None
    return float(np.quantile(samples, share))


def over_runs(values: Sequence[float | None]) -> Figure:
    """The centre of the runs' values with its interval; fewer than six runs have none."""
    if not values or None in values:
        return Figure(None, None)
    return Figure(*statistics.paired(values))


def of_runs(runs: Sequence[Sequence[float]], share: float) -> Figure:
    """A percentile over runs, each with its samples."""
    return over_runs([of_run(samples, share) for samples in runs])
