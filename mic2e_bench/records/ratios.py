"""One record against another: how much faster it is, and after how many images a longer start has paid off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mic2e_bench.catalog.metrics.latency import quartiles
from mic2e_bench.catalog.metrics.preparation import first_call_extra
from mic2e_bench.records.record import Record


class Speedup(NamedTuple):
    """How much faster a record is than its baseline: the ``ratio`` of the medians, and how sure that is."""

    ratio: float | None  # the baseline's seconds an image over the record's; ``None`` where one has no samples
    interval: list[float] | None = None  # of 95 %; a conclusion needs it
    why: str = ""  # there is no interval
    interleaved: bool = False  # whether the calls of both took turns


def speedup(baseline: Record, one: Record, study: Record | None = None) -> Speedup:
    """The baseline's median seconds an image over the record's, with its 95 % interval.

    Samples of the same rounds are compared round by round.
    """
    if not baseline.latency_s or not one.latency_s:
        return Speedup(None, why="no timed calls")
    same = (baseline.rounds, len(baseline.latency_s)) == (one.rounds, len(one.latency_s))
    interleaved = bool(baseline.rounds) and same
    samples = [np.divide(of.latency_s, of.batch) for of in (baseline, one)]
    value = float(_medians(*samples))
    if min(map(len, samples)) < 3:
        return Speedup(value, None, "fewer than three timed calls", interleaved)
    from scipy import stats  # takes a moment that a plan shall not wait for

    options = {"n_resamples": 2000, "method": "percentile", "rng": np.random.default_rng(0)}
    found = stats.bootstrap(samples, _medians, paired=interleaved, vectorized=True, **options)
    return Speedup(value, [float(end) for end in found.confidence_interval], "", interleaved)


def _medians(above: Sequence[float], below: Sequence[float], axis: int = -1) -> np.ndarray:
    return np.median(above, axis=axis) / np.median(below, axis=axis)


def break_even_images(one: Record, baseline: Record) -> int | None:
    """After how many images the longer first call has paid off against ``baseline``.

    ``None`` where a later image is not made faster, or where a record has too few samples to say.
    """
    extra, before = first_call_extra(one), first_call_extra(baseline)
    if extra is None or before is None:
        return None
    return _caught_up(extra - before, one, baseline)


def images_to_pay_off(one: Record, other: Record) -> int | None:
    """After how many images a new process with the slower start of ``one`` has caught up with one with ``other``'s.

    The start is loading and the first call (both import the same libraries). 0 where it is not slower, and there is
    nothing to pay off; ``None`` where it never catches up, or where a record has no timed calls.
    """
    if any(not of.latency_s or None in (of.load_s, of.first_call_s) for of in (one, other)):
        return None
    first, other_first = (of.load_s + of.first_call_s for of in (one, other))
    if first <= other_first:
        return 0
    # n images take first + (n / batch - 1) calls
    return _caught_up(first - other_first - _call_s(one) + _call_s(other), one, other)


def _caught_up(behind_s: float, one: Record, other: Record) -> int | None:
    """Images after which so many seconds are made up for; ``None`` where an image is not made faster."""
    saved_s = _call_s(other) / other.batch - _call_s(one) / one.batch
    return max(0, math.ceil(behind_s / saved_s)) if saved_s > 0 else None


def _call_s(one: Record) -> float:
    return quartiles(one.latency_s)[1]
