"""Means, medians and ratios with their 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000
SEED = 0


def mean(values: Sequence[float], groups: Sequence[str]) -> tuple[float, list[float] | None]:
    """The mean of ``values`` and its 95 % bootstrap interval ``[low, high]``; see ``ratio``."""
    return ratio(values, np.ones(len(values)), groups)


def ratio(above: Sequence[float], below: Sequence[float], groups: Sequence[str]) -> tuple[float, list[float] | None]:
    """``sum(above) / sum(below)`` over samples and its 95 % interval, ``None`` for a single sample.

    ``groups`` names each sample's scene. Whole scenes are drawn with replacement (percentile bootstrap, 2000 draws
    from a fixed seed), because two seeds of one scene are no two independent samples; with one scene, its samples are.
    """
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    value = float(above.sum() / below.sum())
    if len(above) < 2:
        return value, None
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        names, index = np.arange(len(above)), np.arange(len(above))
    sums = [np.bincount(index, weights=part) for part in (above, below)]
    draws = np.random.default_rng(SEED).integers(len(names), size=(RESAMPLES, len(names)))
    drawn = sums[0][draws].sum(axis=1) / sums[1][draws].sum(axis=1)
    return value, [float(end) for end in np.quantile(drawn, (0.025, 0.975))]


def ratio_of_medians(above: Sequence[float], below: Sequence[float]) -> tuple[float, list[float] | None]:
    """``median(above) / median(below)`` of independent samples, and its 95 % bootstrap interval.

    ``None`` where one of them has fewer than three samples: two say nothing of the spread.
    """
    return ratio_of_ratios(above, below, [1.0] * 3, [1.0] * 3)


def ratio_of_ratios(
    above: Sequence[float], below: Sequence[float], other_above: Sequence[float], other_below: Sequence[float]
) -> tuple[float, list[float] | None]:
    """``ratio_of_medians`` of the first two samples over that of the other two, with its interval."""
    parts, powers = (above, below, other_above, other_below), (1, -1, -1, 1)
    value = float(np.prod([np.median(part) ** power for part, power in zip(parts, powers, strict=True)]))
    if min(map(len, parts)) < 3:
        return value, None
    generator = np.random.default_rng(SEED)
    drawn = [np.median(generator.choice(part, (RESAMPLES, len(part))), axis=1) for part in parts]
    ratios = np.prod([part**power for part, power in zip(drawn, powers, strict=True)], axis=0)
    return value, [float(end) for end in np.quantile(ratios, (0.025, 0.975))]


def ratio_over_rounds(above: Sequence[float], below: Sequence[float]) -> tuple[float, list[float] | None]:
    """``ratio_of_medians`` of samples taken in the same rounds: sample by sample at nearly the same time.

    Whole rounds are drawn, so what slowed a round down as a whole is in both medians and no part of the noise.
    """
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    value = float(np.median(above) / np.median(below))
    if len(above) < 3 or len(above) != len(below):
        return value, None
    draws = np.random.default_rng(SEED).integers(len(above), size=(RESAMPLES, len(above)))
    ratios = np.median(above[draws], axis=1) / np.median(below[draws], axis=1)
    return value, [float(end) for end in np.quantile(ratios, (0.025, 0.975))]


def median(samples: Sequence[float]) -> tuple[float, list[float] | None]:
    """The median and its 95 % interval by order statistics, whatever the distribution; ``None`` below six samples."""
    ordered, count = sorted(samples), len(samples)
    below, rank = 0.0, 0  # the probability that at most ``rank`` of the samples lie below the true median
    while (below := below + math.comb(count, rank) / 2**count) <= 0.025:
        rank += 1
    return float(np.median(ordered)), [ordered[rank - 1], ordered[count - rank]] if rank else None
