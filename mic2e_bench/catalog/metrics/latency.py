"""Latency of one call, from the raw samples of a record."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mic2e_bench.catalog.metric import Metric

if TYPE_CHECKING:
    from mic2e_bench.records.record import Record


def quartiles(samples: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median, third quartile (inclusive method; a single sample is all three)."""
    if len(samples) == 1:
        return (samples[0],) * 3
    return tuple(statistics.quantiles(samples, n=4, method="inclusive"))


def spread(samples: Sequence[float]) -> float:
    """Half of the interquartile range over the median: how unsteady the clock was."""
    low, median, high = quartiles(samples)
    return (high - low) / 2 / median


def _of_samples(compute: Callable[[Sequence[float]], float]) -> Callable[[Record], float | None]:
    """From a function of samples (seconds) to one of a record; ``None`` where the record has no samples."""

    def of_record(record: Record) -> float | None:
        return compute(record.latency_s) if record.latency_s else None

    return of_record


MEDIAN = Metric(
    "latency_s", "record", "s", "lower", "median seconds of one call, warmed up",
    _of_samples(lambda samples: quartiles(samples)[1]),
)  # fmt: skip
FIRST_QUARTILE = Metric(
    "latency_q1_s", "record", "s", "lower", "first quartile of the seconds of one call",
    _of_samples(lambda samples: quartiles(samples)[0]),
)  # fmt: skip
THIRD_QUARTILE = Metric(
    "latency_q3_s", "record", "s", "lower", "third quartile of the seconds of one call",
    _of_samples(lambda samples: quartiles(samples)[2]),
)  # fmt: skip
SPREAD = Metric(
    "latency_spread", "record", "1", "lower", "half of the interquartile range over the median", _of_samples(spread)
)
