"""When enough calls were timed, and what is odd about their seconds. Pure functions of samples in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mic2e_bench import statistics
from mic2e_bench.catalog.metrics.latency import quartiles, spread
from mic2e_bench.plan.protocol import MOST_WARMUP, STEADY

LAST = 3  # calls that a steady warm-up ends with
TOLERANCE = 0.05  # a share of the median, of all rules that have no other


def warm(rule: int | str, samples: Sequence[float]) -> str:
    """What ends a warm-up after these samples (seconds): ``count``, ``steady`` or ``cap``; empty while it goes on."""
    if rule != STEADY:
        return "count" if len(samples) >= rule else ""
    if is_steady(samples):
        return "steady"
    return "cap" if len(samples) >= MOST_WARMUP else ""


def is_steady(samples: Sequence[float]) -> bool:
    """Whether the last three samples are within 5 % of their median."""
    last = samples[-LAST:]
    return len(last) == LAST and all(abs(value - np.median(last)) <= TOLERANCE * np.median(last) for value in last)


def enough(rule: int | Mapping[str, Any], *together: Sequence[float]) -> str:
    """What ends the repeats after these samples: ``count``, ``interval``, ``max``, ``budget``; empty while they go on.

    Trials that take turns end ``together``. The budget is that of the timed calls themselves, for each trial, and never
    cuts below the least number of calls.
    """
    count = min(map(len, together))
    if isinstance(rule, int):
        return "count" if count >= rule else ""
    if count < rule["min"]:
        return ""
    if all(is_narrow(samples, rule["until"]) for samples in together):
        return "interval"
    if count >= rule["max"]:
        return "max"
    return "budget" if sum(map(sum, together)) >= rule["budget_s"] * len(together) else ""


def is_narrow(samples: Sequence[float], share: float) -> bool:
    """Whether the 95 % interval of the median is within this share of the median; six samples are the least."""
    middle, ends = statistics.median(samples)
    return ends is not None and max(middle - ends[0], ends[1] - middle) <= share * middle


def outliers(samples: Sequence[float]) -> list[int]:
    """The places of samples over 3 interquartile ranges outside the quartiles and over 5 % off the median."""
    if len(samples) < 4:
        return []
    low, middle, high = quartiles(samples)
    far = 3 * (high - low)
    outside = [value < low - far or value > high + far for value in samples]
    return [i for i, value in enumerate(samples) if outside[i] and abs(value - middle) > TOLERANCE * middle]


def drift(samples: Sequence[float]) -> float | None:
    """The trend (Theil-Sen) as a share of the median; ``None`` where it is within 5 % or by chance (Mann-Kendall)."""
    count = len(samples)
    if count < 5:  # fewer can never be significant
        return None
    from scipy import stats  # takes a moment that a plan shall not wait for

    slope = float(stats.theilslopes(samples).slope)
    change = slope * (count - 1) / float(np.median(samples))
    # no p-value where all samples are equal
    return change if stats.kendalltau(range(count), samples).pvalue < 0.05 and abs(change) > TOLERANCE else None


def add(samples: Mapping[str, list[float]], call: Mapping[str, float | None]) -> None:
    """Add one timed call to the samples; what the device does not tell stays empty."""
    for name, value in call.items():
        if value is not None:
            samples[name].append(value)


def judge(timing: Mapping[str, Any]) -> dict[str, Any]:
    """``outliers`` (places in ``latency_s``) and ``warnings`` of a record's timing, a line each.

    The spread is wide when half the interquartile range is more than 5 % of the median.
    """
    samples = timing["latency_s"]
    warnings, ended = [], timing.get("ended_by", {})
    if len(samples) >= 3 and (wide := spread(samples)) > TOLERANCE:
        warnings.append(f"spread: half the distance between the quartiles is {wide:.0%} of the median")
    if change := drift(samples):
        warnings.append(f"drift: the calls got {'slower' if change > 0 else 'faster'} by {abs(change):.0%}")
    if ended.get("warmup") == "cap":
        warnings.append(f"not steady after {MOST_WARMUP} warm-up calls")
    if ended.get("repeats") in ("max", "budget"):
        warnings.append(f"the interval of the median is wider than asked: the {ended['repeats']} ended it")
    return {"outliers": outliers(samples), "warnings": warnings}
