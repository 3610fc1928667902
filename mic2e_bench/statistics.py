"""Centres, ratios and changes with their 95 % intervals: each covers what it says, or is not given (``None``).

A machine that does other work drifts by more than the samples of one run show, and each fresh build is a few percent
off. So what is compared is measured in **rounds**, builds of both sides beside each other in turns, and a round is one
value: the difference of the two (of times: of their logarithms). ``paired`` is the Hodges-Lehmann centre of such
differences with the interval of the signed-rank test, which is exact whatever symmetric noise there is; one round that
went wrong moves neither. scipy has that test, and not its interval. ``workshop/proof/coverage.py`` simulates them all.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

ENOUGH = 6  # rounds, builds or scenes: fewer cannot give a 95 % interval by ranks, whatever they are
SCENES = 100  # the fewest whose mean has an interval: a rare scene that is far off would be missed by fewer
MOST_ROUNDS = 48  # as far as repeated looks were simulated
END = 0.025  # of the probability lies outside a 95 % interval at each end
POWER = 0.8
LADDER = (6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, MOST_ROUNDS)
DRAWS, SEED = 2000, 0
T95 = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365}  # Student's, by the number of repeats
Samples = Sequence[Sequence[float]]  # a list of samples for each round
Interval = list[float] | None
WithInterval = tuple[float, Interval, str]


def paired(differences: Sequence[float], end: float = END) -> tuple[float, Interval]:
    """The centre of paired differences and its exact interval ``[low, high]``; ``None`` for fewer than six.

    The centre is the median of the means of all pairs. ``end`` is the share outside at each end.
    """
    means = _pair_means(np.asarray(differences, dtype=np.float64))
    out = signed_rank_tail(len(differences), end)
    return float(np.median(means)), [float(means[out - 1]), float(means[-out])] if out else None


def over_builds(above: Samples, below: Samples, builds: Sequence[int]) -> tuple[float, Interval]:
    """The logarithm of the product of some samples over that of others, round by round: its centre over builds.

    ``above``, ``below``: as many lists, of a sample a round each; ``builds``: the build of each round. A build counts
    by the median of its rounds. With the 95 % interval of ``paired``.
    """
    rounds = np.log(above).sum(axis=0) - np.log(below).sum(axis=0)
    return paired([float(np.median(rounds[np.equal(builds, build)])) for build in sorted(set(builds))])


def _pair_means(values: np.ndarray) -> np.ndarray:
    """The means of all pairs of values of the last axis, a value with itself too, sorted."""
    first, second = np.triu_indices(values.shape[-1])
    return np.sort((values[..., first] + values[..., second]) / 2)


@functools.lru_cache(maxsize=512)
def signed_rank_tail(count: int, end: float = END) -> int:
    """The rank, from either end, of the pairs' mean that an interval ends at; 0 where there are too few for one.

    It is the signed-rank statistic's quantile: so many of its values together have no more than ``end``.
    """
    chances = np.array([1.0])  # of each sum of the ranks that are positive, by adding one rank after the other
    for rank in range(1, count + 1):
        chances = np.append(chances, np.zeros(rank)) / 2 + np.append(np.zeros(rank), chances) / 2
    return int(np.searchsorted(np.cumsum(chances), end, side="right"))


def end_at(rounds: int) -> float:
    """What may lie outside an interval at each end, for whoever looks again after each further round.

    The sixth round is the first look, each further round one more, and each look gets a little less than its number's
    part of 2.5 %. All looks up to 48 rounds together then err in 2.42 %: simulated in 400,000 runs, and the same for
    any symmetric noise, because signs and ranks are. The sum of the parts is more, but the looks resemble each other.
    """
    return END / max(1, rounds - ENOUGH + 1) ** 1.05


def mean(values: Sequence[float], groups: Sequence[str]) -> tuple[float, Interval]:
    """The mean of ``values`` and its interval; see ``ratio``."""
    return ratio(values, np.ones(len(values)), groups)


def ratio(above: Sequence[float], below: Sequence[float], groups: Sequence[str]) -> tuple[float, Interval]:
    """``sum(above) / sum(below)`` over pictures, and its 95 % interval over scenes; ``None`` below 100 scenes.

    ``groups`` names each picture's scene: two seeds of one scene are no two scenes. The interval is Student's, of what
    the scenes' sums are off the ratio. Fewer scenes do not do: where one in twenty is far off, it covers 64 % at 20.
    """
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    value = float(above.sum() / below.sum())
    names, scene = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < SCENES:
        return value, None
    from scipy import stats  # takes a moment that a plan shall not wait for

    above, below = (np.bincount(scene, weights=part) for part in (above, below))
    ends = stats.ttest_1samp((above - value * below) / below.mean(), 0).confidence_interval()
    return value, [value + float(end) for end in ends]


def median(samples: Sequence[float]) -> tuple[float, Interval]:
    """The median and its 95 % interval by order statistics, whatever the distribution; ``None`` below six samples.

    It takes the samples as independent, which the calls of one process are not quite: a rule to stop by, no claim.
    scipy's ``quantile_test`` gives the same ends, and takes too long between two timed calls.
    """
    ordered, count = sorted(samples), len(samples)
    below, rank = 0.0, 0  # the probability that at most ``rank`` of the samples lie below the true median
    while (below := below + math.comb(count, rank) / 2**count) <= END:
        rank += 1
    return float(np.median(ordered)), [ordered[rank - 1], ordered[count - rank]] if rank else None


def between_two(repeats: Sequence[float]) -> float:
    """By what share two more values like these may differ (95 %): with Student's t, as few as the repeats are."""
    t = T95[min(len(repeats), max(T95))]
    return float(2**0.5 * t * np.std(repeats, ddof=1) / np.mean(repeats))


def change(base: Samples, head: Samples, taking_turns: bool = True, noise: float | None = None) -> WithInterval:
    """``head / base`` over rounds (of their medians), its 95 % interval (``None``: it cannot be had), and a remark.

    The interval holds however often rounds are added and looked at (``end_at``); of more than 48 rounds the
    first 48 count. ``noise`` is the share by which single values without samples differ where nobody changed
    anything; ``None`` where that is not known. Fewer rounds than six have no interval but that.
    """
    logs = differences(base, head)
    centre, ends = paired(logs, end_at(len(logs)))
    value = float(np.exp(centre))
    if len(logs) < ENOUGH and noise is not None and all(len(samples) == 1 for samples in (*base, *head)):
        said = f"± {noise:.1%}, what repeats differ by, and no 95 % interval" if noise else ""
        return value, [value * (1 - noise), value * (1 + noise)], said
    if ends is None:
        return value, None, few(len(logs))
    if not taking_turns:
        return value, None, "the rounds did not take turns: a drift between them would count as a change"
    return value, [float(end) for end in np.exp(ends)], ""


def differences(base: Samples, head: Samples) -> np.ndarray:
    """The logarithms of ``head / base`` of the rounds' medians; a round that one side has more stays without a pair."""
    pairs = min(len(base), len(head), MOST_ROUNDS)
    mine, theirs = ([float(np.median(samples)) for samples in side[:pairs]] for side in (base, head))
    return np.log(theirs) - np.log(mine)


def few(count: int, what: str = "round") -> str:
    """Why there is no interval."""
    return f"{count} {what}{'' if count == 1 else 's'}, fewer than {ENOUGH}: too few to say"


def to_own(side: Samples, own: Samples) -> list[list[float]]:
    """Each round's median as a share of its own baseline's, as one sample a round; rounds by their order."""
    return [[float(np.median(one) / np.median(other))] for one, other in zip(side, own, strict=False)]


def difference(base: Sequence[float], head: Sequence[float], groups: Sequence[str]) -> WithInterval:
    """``head - base`` over the scenes that ``groups`` names for each picture; below six the mean of these alone."""
    names, scene = np.unique(np.asarray(groups), return_inverse=True)
    by_scene = np.bincount(scene, weights=np.subtract(head, base)) / np.bincount(scene)
    centre, ends = paired(by_scene)
    if ends is None:
        scenes = "one scene" if len(names) == 1 else f"{len(names)} scenes"
        return float(by_scene.mean()), None, f"of {scenes}, fewer than {ENOUGH}: said of these alone"
    return centre, ends, ""


def middle(rounds: Samples) -> float:
    """The median of the rounds' medians."""
    return float(np.median([np.median(samples) for samples in rounds]))


@functools.lru_cache(maxsize=256)
def tells(rounds: int) -> float | None:
    """The change that an interval of so many rounds leaves out in 80 %, in standard deviations of a round's difference.

    By simulation of normal noise, with ``end_at``; ``None`` below six rounds, which never tell anything. (The normal
    approximation of the signed-rank test would promise two thirds of what it takes at six rounds.)
    """
    rounds = min(rounds, MOST_ROUNDS)
    if not (out := signed_rank_tail(rounds, end_at(rounds))):
        return None
    draw = np.random.default_rng(SEED)
    lows = [_pair_means(draw.standard_normal((DRAWS // 20, rounds)))[:, out - 1] for _ in range(20)]
    return float(np.quantile(-np.concatenate(lows), POWER))


def rounds_to_tell(share: float) -> int | None:
    """The fewest rounds of ``LADDER`` that tell a change of this ``share``; ``None`` where even 48 do not."""
    return next((rounds for rounds in LADDER if tells(rounds) <= share), None)
