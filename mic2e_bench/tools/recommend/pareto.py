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
    return np.array([not _beats(costs, one).any() for one in costs], dtype=bool) & ~np.isnan(costs).any(axis=1)


def standing(costs: np.ndarray, noise: np.ndarray) -> list[str]:
    """What each point is: ``front``, ``tie``, ``beaten`` or ``unknown`` (a value is not a number).

    ``noise`` (shape (n, k), same units) is how far each cost is uncertain to either side; two are the same where they
    differ by no more than the larger of their noises. A point that is dominated, but by no other by more than the
    noise in any value, is a ``tie``: measured again, it may be on the front.
    """
    on_front, known = nondominated(costs), ~np.isnan(costs).any(axis=1)
    found = []
    for index, one in enumerate(costs):
        if not known[index]:
            found.append(UNKNOWN)
        elif on_front[index]:
            found.append(FRONT)
        else:
            by_more = (one - costs > np.maximum(noise[index], noise)).any(axis=1)
            found.append(BEATEN if (_beats(costs, one) & by_more).any() else TIE)
    return found


def _beats(costs: np.ndarray, one: np.ndarray) -> np.ndarray:
    """Which points dominate ``one``."""
    return (costs <= one).all(axis=1) & (costs < one).any(axis=1)
