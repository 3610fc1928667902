"""How much a quantity changed from one side to the other, with the interval that the rounds give.

A machine that does other work drifts by more than the samples of one run show, so the runs of both sides should take
turns, and the statistic works on **rounds**: the ratio of the two runs that were measured beside each other. From six
rounds on the estimate is the Hodges-Lehmann one (the median of the means of all pairs of log ratios), and its 95 %
interval the one of the signed-rank test: exact for any symmetric noise, and a round that went wrong moves neither.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mic2e_bench import interval

ENOUGH = 6  # rounds: fewer cannot give a 95 % interval by ranks
Samples = Sequence[Sequence[float]]  # a list of samples for each round
Estimate = tuple[float, list[float] | None, str]


def ratio(base: Samples, head: Samples, taking_turns: bool = True, noise: float | None = None) -> Estimate:
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
    value, ends = interval.ratio_of_medians(*pooled)
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


def signed_rank_tail(count: int, share: float = 0.025) -> int:
    """How many of the pairs' means lie outside an interval at each end: the signed-rank statistic's lower quantile."""
    chances = np.array([1.0])  # of each sum of the ranks that are positive, by adding one rank after the other
    for rank in range(1, count + 1):
        chances = np.append(chances, np.zeros(rank)) / 2 + np.append(np.zeros(rank), chances) / 2
    return int(np.searchsorted(np.cumsum(chances), share, side="right"))


def difference(base: Sequence[float], head: Sequence[float], groups: Sequence[str]) -> Estimate:
    """The mean of ``head - base`` over pictures, with its 95 % interval from drawing inputs; ``groups`` names them."""
    value, ends = interval.mean(np.subtract(head, base), groups)
    return value, ends, "" if ends else "one picture: no interval"


def of_means(base: float, head: float, base_ci: Sequence[float] | None, head_ci: Sequence[float] | None) -> Estimate:
    """The difference of two stored means whose pictures are not at hand, as of independent ones."""
    if not base_ci or not head_ci:
        return head - base, None, "no stored interval"
    low = np.hypot(head - head_ci[0], base_ci[1] - base)
    high = np.hypot(head_ci[1] - head, base - base_ci[0])
    return head - base, [float(head - base - low), float(head - base + high)], "from stored intervals"


def ratio_to_own(
    base: Samples, base_own: Samples, head: Samples, head_own: Samples, noise: float | None = None
) -> Estimate:
    """``ratio`` of two machines: of each side's own ratio to its own baseline, rounds of one side by their order."""
    single = all(len(samples) == 1 for side in (base, base_own, head, head_own) for samples in side)
    parts = (head, head_own, base, base_own)
    if all(len(side) == 1 for side in parts) and not single:
        value, ends = interval.ratio_of_ratios(*(side[0] for side in parts))
        return value, ends, "one run a side" if ends else "too few samples for an interval"
    mine, theirs = (
        [float(np.median(one) / np.median(other)) for one, other in zip(side, own, strict=False)]
        for side, own in ((base, base_own), (head, head_own))
    )
    value, ends = interval.ratio_of_medians(theirs, mine)
    if single and noise is not None and ends is None:
        return value, [value * (1 - noise), value * (1 + noise)], ""
    return value, ends, "" if ends else "too few rounds for an interval"


def middle(rounds: Samples) -> float:
    """The median of the rounds' medians."""
    return float(np.median([np.median(samples) for samples in rounds]))
