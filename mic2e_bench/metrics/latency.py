"""Latency of one call, from the raw samples of a record."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mic2e_bench.metric import Metric
from mic2e_bench.statistics import ratio_of_medians, ratio_over_rounds


def quartiles(samples: list[float]) -> tuple[float, float, float]:
    """First quartile, median, third quartile (inclusive method; a single sample is all three)."""
    if len(samples) == 1:
        return (samples[0],) * 3
    return tuple(statistics.quantiles(samples, n=4, method="inclusive"))


def spread(samples: list[float]) -> float:
    """Half of the interquartile range over the median: how unsteady the clock was."""
    low, median, high = quartiles(samples)
    return (high - low) / 2 / median


def _of_samples(compute: Callable[[list[float]], float]) -> Callable[[Mapping[str, Any]], float | None]:
    """From a function of samples (seconds) to one of a record; ``None`` where the record has no samples."""

    def of_record(record: Mapping[str, Any]) -> float | None:
        samples = record["timing"]["latency_s"]
        return compute(samples) if samples else None

    return of_record


def speedup(baseline: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[float | None, list[float] | None, bool]:
    """The baseline's median seconds an image over the record's, its 95 % interval, and whether they were interleaved.

    Samples of the same rounds are compared round by round. ``None`` where there are no samples, and for the interval
    below three of them.
    """
    one, other = baseline["timing"], record["timing"]
    if not one["latency_s"] or not other["latency_s"]:
        return None, None, False
    interleaved = bool(one.get("rounds")) and one.get("rounds") == other.get("rounds")
    compare = ratio_over_rounds if interleaved else ratio_of_medians
    seconds = (np.divide(of["timing"]["latency_s"], images_per_call(of)) for of in (baseline, record))
    return *compare(*seconds), interleaved


def images_per_call(record: Mapping[str, Any]) -> int:
    """The batch of a record's trial."""
    return record["trial"]["settings"].get("batch", 1)


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
