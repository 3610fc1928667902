"""When enough calls were timed, and what is odd about their seconds. Pure functions of samples in their order.

The rules, for every record:

- A warm-up is **steady** when its last 3 calls are within 5 % of their median.
- Repeats are **enough** when the 95 % interval of their median (order statistics) is within the asked share of it.
- An **outlier** lies over 3 interquartile ranges outside the quartiles and over 5 % off the median. It is kept.
- The spread is **wide** when half the interquartile range is more than 5 % of the median.
- The samples **drift** when they rise or fall with time (Mann-Kendall test, 5 %) by more than 5 % of the median
  (Theil-Sen slope over the whole run).
"""

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
    last = list(samples)[-LAST:]
    middle = float(np.median(last)) if last else 0.0
    return len(last) == LAST and all(abs(value - middle) <= TOLERANCE * middle for value in last)


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
    """The places of samples that are far from the others."""
    if len(samples) < 4:
        return []
    low, middle, high = quartiles(list(samples))
    far = 3 * (high - low)
    return [
        index
        for index, value in enumerate(samples)
        if not low - far <= value <= high + far and abs(value - middle) > TOLERANCE * middle
    ]


def drift(samples: Sequence[float]) -> float | None:
    """The change over the run as a share of the median, where it is significant and over 5 %; else ``None``."""
    count = len(samples)
    if count < 5:  # fewer can never be significant
        return None
    from scipy import stats  # takes a moment that a plan shall not wait for

    slope = float(stats.theilslopes(samples).slope)
    change = slope * (count - 1) / float(np.median(samples))
    # no p-value where all samples are equal
    return change if stats.kendalltau(range(count), samples).pvalue < 0.05 and abs(change) > TOLERANCE else None


def judge(timing: Mapping[str, Any]) -> dict[str, Any]:
    """``outliers`` (places in ``latency_s``) and ``warnings`` (one line each) of a record's timing."""
    samples = timing["latency_s"]
    found = {"outliers": outliers(samples), "warnings": []}
    if len(samples) >= 3 and (wide := spread(list(samples))) > TOLERANCE:
        found["warnings"].append(f"spread: half the distance between the quartiles is {wide:.0%} of the median")
    if change := drift(samples):
        found["warnings"].append(f"drift: the calls got {'slower' if change > 0 else 'faster'} by {abs(change):.0%}")
    ended = timing.get("ended_by", {})
    if ended.get("warmup") == "cap":
        found["warnings"].append(f"not steady after {MOST_WARMUP} warm-up calls")
    if ended.get("repeats") in ("max", "budget"):
        found["warnings"].append(f"the interval of the median is wider than asked: the {ended['repeats']} ended it")
    return found
