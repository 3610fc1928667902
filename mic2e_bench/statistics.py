"""Medians, ratios and changes with their 95 % intervals. The bootstraps are scipy's, from a fixed seed.

A machine that does other work drifts by more than the samples of one run show, so the runs of two sides should take
turns, and ``change`` works on **rounds**: the ratio of the two runs that were measured beside each other. From six
rounds on the estimate is the Hodges-Lehmann one (the median of the means of all pairs of log ratios), and its 95 %
interval the one of the signed-rank test: exact for any symmetric noise, and a round that went wrong moves neither.
scipy has that test, and not its interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

RESAMPLES = 2000
SEED = 0
ENOUGH = 6  # rounds: fewer cannot give a 95 % interval by ranks
Samples = Sequence[Sequence[float]]  # a list of samples for each round
Interval = list[float] | None
WithInterval = tuple[float, Interval, str]


def _bootstrap(statistic: Callable[..., np.ndarray], *samples: Sequence[float], paired: bool) -> list[float]:
    """``[low, high]`` by percentiles: BCa gives no number for the medians of few samples, which are often the same."""
    from scipy import stats  # takes a moment that a plan shall not wait for

    options = {"n_resamples": RESAMPLES, "method": "percentile", "rng": np.random.default_rng(SEED)}
    found = stats.bootstrap(samples, statistic, paired=paired, vectorized=True, **options)
    return [float(end) for end in found.confidence_interval]


def mean(values: Sequence[float], groups: Sequence[str]) -> tuple[float, Interval]:
    """The mean of ``values`` and its 95 % bootstrap interval ``[low, high]``; see ``ratio``."""
    return ratio(values, np.ones(len(values)), groups)


def ratio(above: Sequence[float], below: Sequence[float], groups: Sequence[str]) -> tuple[float, Interval]:
    """``sum(above) / sum(below)`` over samples and its 95 % interval, ``None`` for a single sample.

    ``groups`` names each sample's scene. Whole scenes are drawn with replacement, because two seeds of one scene are no
    two independent samples; with one scene, its samples are.
    """
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    value = float(above.sum() / below.sum())
    if len(above) < 2:
        return value, None
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) > 1:
        above, below = (np.bincount(index, weights=part) for part in (above, below))
    return value, _bootstrap(lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis), above, below, paired=True)


def ratio_of_medians(above: Sequence[float], below: Sequence[float]) -> tuple[float, Interval]:
    """``median(above) / median(below)`` of independent samples, and its 95 % bootstrap interval.

    ``None`` where one of them has fewer than three samples: two say nothing of the spread.
    """
    few = min(len(above), len(below)) < 3
    return float(_medians(above, below)), None if few else _bootstrap(_medians, above, below, paired=False)


def ratio_over_rounds(above: Sequence[float], below: Sequence[float]) -> tuple[float, Interval]:
    """``ratio_of_medians`` of samples taken in the same rounds: sample by sample at nearly the same time.

    Whole rounds are drawn, so what slowed a round down as a whole is in both medians and no part of the noise.
    """
    few = len(above) < 3 or len(above) != len(below)
    return float(_medians(above, below)), None if few else _bootstrap(_medians, above, below, paired=True)


def ratio_of_ratios(*samples: Sequence[float]) -> tuple[float, Interval]:
    """``ratio_of_medians`` of the first two of four samples over that of the other two, with its interval."""
    few = min(map(len, samples)) < 3
    return float(_two_medians(*samples)), None if few else _bootstrap(_two_medians, *samples, paired=False)


def _medians(above: Sequence[float], below: Sequence[float], axis: int = -1) -> np.ndarray:
    return np.median(above, axis=axis) / np.median(below, axis=axis)


def _two_medians(
    above: Sequence[float], below: Sequence[float], other: Sequence[float], under: Sequence[float], axis: int = -1
) -> np.ndarray:
    return _medians(above, below, axis) / _medians(other, under, axis)


def median(samples: Sequence[float]) -> tuple[float, Interval]:
    """The median and its 95 % interval by order statistics, whatever the distribution; ``None`` below six samples.

    scipy's ``quantile_test`` gives the same ends, and takes too long between two timed calls.
    """
    ordered, count = sorted(samples), len(samples)
    below, rank = 0.0, 0  # the probability that at most ``rank`` of the samples lie below the true median
    while (below := below + math.comb(count, rank) / 2**count) <= 0.025:
        rank += 1
    return float(np.median(ordered)), [ordered[rank - 1], ordered[count - rank]] if rank else None


def change(base: Samples, head: Samples, taking_turns: bool = True, noise: float | None = None) -> WithInterval:
    """``head / base`` of the rounds' medians, its 95 % interval (``None``: it cannot be had), and a remark.

    ``noise`` is what single values without samples are uncertain by, as a share; ``None`` where that is not known.
    """
    mine, theirs = ([float(np.median(samples)) for samples in side] for side in (base, head))
    pairs = min(len(mine), len(theirs))  # a round that one side has more stays without its pair
    mine, theirs = mine[:pairs], theirs[:pairs]
    if pairs >= ENOUGH:
        value, ends = hodges_lehmann(np.log(theirs) - np.log(mine))
        remark = "" if taking_turns else "the rounds did not take turns: a drift between them counts as a change"
        return float(np.exp(value)), [float(end) for end in np.exp(ends)], remark
    pooled = [[value for samples in side for value in samples] for side in (head, base)]
    value, ends = ratio_of_medians(*pooled)
    single = all(len(samples) == 1 for samples in (*base, *head))
    if single:
        ends = None if noise is None else [value * (1 - noise), value * (1 + noise)]
    if pairs > 1 and ends:
        ratios = [other / one for one, other in zip(mine, theirs, strict=True)]
        ends = [min(ends[0], *ratios), max(ends[1], *ratios)]
    if single and noise is not None:
        return value, ends, ""
    return value, ends, _few(pairs, ends)


def _few(pairs: int, ends: list[float] | None) -> str:
    if ends is None:
        return "too few samples for an interval"
    if pairs == 1:
        return "one run a side: a drift of the machine between them counts as a change"
    return f"{pairs} rounds, fewer than {ENOUGH}: the interval is their range or wider"


def hodges_lehmann(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """The centre of symmetric noise around a value, and its 95 % interval; at least six values."""
    values = np.asarray(values, dtype=np.float64)
    first, second = np.triu_indices(len(values))
    means = np.sort((values[first] + values[second]) / 2)
    out = signed_rank_tail(len(values))
    return float(np.median(means)), (float(means[out]), float(means[-1 - out]))


def paired(differences: Sequence[float]) -> tuple[float, Interval]:
    """The centre of paired differences (or log ratios) and its 95 % interval; ``None`` below six."""
    if len(differences) < ENOUGH:
        return float(np.median(differences)), None
    centre, ends = hodges_lehmann(differences)
    return centre, list(ends)


def signed_rank_tail(count: int, share: float = 0.025) -> int:
    """How many of the pairs' means lie outside an interval at each end: the signed-rank statistic's lower quantile."""
    chances = np.array([1.0])  # of each sum of the ranks that are positive, by adding one rank after the other
    for rank in range(1, count + 1):
        chances = np.append(chances, np.zeros(rank)) / 2 + np.append(np.zeros(rank), chances) / 2
    return int(np.searchsorted(np.cumsum(chances), share, side="right"))


def difference(base: Sequence[float], head: Sequence[float], groups: Sequence[str]) -> WithInterval:
    """The mean of ``head - base`` over pictures, with its 95 % interval from drawing inputs; ``groups`` names them."""
    value, ends = mean(np.subtract(head, base), groups)
    return value, ends, "" if ends else "one picture: no interval"


def of_means(
    base: float, head: float, base_ci: Sequence[float] | None, head_ci: Sequence[float] | None
) -> WithInterval:
    """The difference of two stored means whose pictures are not at hand, as of independent ones."""
    if not base_ci or not head_ci:
        return head - base, None, "no stored interval"
    low = np.hypot(head - head_ci[0], base_ci[1] - base)
    high = np.hypot(head_ci[1] - head, base - base_ci[0])
    return head - base, [float(head - base - low), float(head - base + high)], "from stored intervals"


def ratio_to_own(
    base: Samples, base_own: Samples, head: Samples, head_own: Samples, noise: float | None = None
) -> WithInterval:
    """``change`` of each side's ratio to its own baseline, on two machines; rounds of one side by their order."""
    single = all(len(samples) == 1 for side in (base, base_own, head, head_own) for samples in side)
    parts = (head, head_own, base, base_own)
    if all(len(side) == 1 for side in parts) and not single:
        value, ends = ratio_of_ratios(*(side[0] for side in parts))
        return value, ends, "one run a side" if ends else "too few samples for an interval"
    mine, theirs = (
        [float(np.median(one) / np.median(other)) for one, other in zip(side, own, strict=False)]
        for side, own in ((base, base_own), (head, head_own))
    )
    value, ends = ratio_of_medians(theirs, mine)
    if single and noise is not None and ends is None:
        return value, [value * (1 - noise), value * (1 + noise)], ""
    return value, ends, "" if ends else "too few rounds for an interval"


def middle(rounds: Samples) -> float:
    """The median of the rounds' medians."""
    return float(np.median([np.median(samples) for samples in rounds]))
