"""The Pareto front: the points that no other beats in everything at once, and those that only noise keeps off it."""

from __future__ import annotations

import numpy as np

FRONT, TIE, BEATEN, UNKNOWN = "front", "tie", "beaten", "unknown"


def nondominated(costs: np.ndarray) -> np.ndarray:
    """Which of ``costs`` (shape (n, k), a row a point, lower is better) are on the front: a mask of shape (n,).

    A point is dominated where another one is at least as good in all ``k`` values and better in one. Equal points are
    all on the front. A point with a value that is not a number is not comparable: it is not on the front and dominates
    nothing.
    """
    known = ~np.isnan(costs).any(axis=1)
    found = np.zeros(len(costs), dtype=bool)
    if known.any():
        rows, which = np.unique(costs[known], axis=0, return_inverse=True)
        on_front = np.zeros(len(rows), dtype=bool)
        for index, one in enumerate(rows):  # in order: what dominates a row comes before it, and is on the front or
            on_front[index] = not _beats(rows[on_front], one).any()  # dominated by what is
        found[known] = on_front[which.reshape(-1)]
    return found


def standing(costs: np.ndarray, noise: np.ndarray) -> list[str]:
    """What each point is: ``front``, ``tie``, ``beaten`` or ``unknown`` (a value is not a number).

    ``noise`` (shape (n, k), same units) is how far each cost is uncertain to either side; two are the same where they
    differ by no more than the larger of their noises. A point that is dominated, but by no other by more than the
    noise in any value, is a ``tie``: measured again, it may be on the front.
    """
    on_front, known = nondominated(costs), ~np.isnan(costs).any(axis=1)
    front = np.unique(np.hstack([costs, noise])[on_front], axis=0).reshape(-1, 2 * costs.shape[1])
    found: dict[bytes, str] = {}  # by the values: copies stand in one place
    standings = []
    for index, one in enumerate(costs):
        key = one.tobytes() + noise[index].tobytes()
        if key not in found:
            found[key] = FRONT if on_front[index] else TIE if known[index] else UNKNOWN
            if found[key] == TIE:
                others = (np.hsplit(front, 2), (costs, noise))  # the front first: it mostly says it, and is short
                found[key] = BEATEN if any(_by_more(one, noise[index], *each) for each in others) else TIE
        standings.append(found[key])
    return standings


def _by_more(one: np.ndarray, mine: np.ndarray, costs: np.ndarray, noise: np.ndarray) -> bool:
    """Whether a point of these costs dominates ``one``, and by more than the noise in some value."""
    by_more = (one - costs > np.maximum(mine, noise)).any(axis=1)
    return bool((_beats(costs, one) & by_more).any())


def _beats(costs: np.ndarray, one: np.ndarray) -> np.ndarray:
    """Which points dominate ``one``."""
    return (costs <= one).all(axis=1) & (costs < one).any(axis=1)
