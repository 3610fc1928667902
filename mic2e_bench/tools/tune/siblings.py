"""Values that a sibling beats wherever two points differ in them alone: they are not worth another look."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from mic2e_bench.tools.tune.space import OFF, GridPoint, Space

PAIRS = 8  # in which a value must be beaten by the same sibling, and win in none: after three it was wrong at times

Beaten = dict[tuple[str, int], tuple[str, int, int]]


def beaten(space: Space, points: Sequence[GridPoint], costs: np.ndarray, doubts: np.ndarray) -> Beaten:
    """By axis and value (its index) the sibling that beats it, in how many pairs; both by (axis, index).

    ``costs`` and their ``doubts`` are logarithms, shape (n, k). Beaten: in no pair better by more than the doubt in any
    quantity, and in each of them worse in some.
    """
    where = {point: at for at, point in enumerate(points)}
    tally: dict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0, 0])  # axis, value, sibling: worse, not
    for axis, a, b in _pairs(space, points):
        one, other = where[a], where[b]
        apart = costs[one] - costs[other]
        doubt = np.maximum(doubts[one], doubts[other])
        for value, sibling, gain in ((a[axis], b[axis], apart), (b[axis], a[axis], -apart)):
            is_beaten = not (gain < -doubt).any() and (gain > doubt).any()
            tally[axis, value, sibling][0 if is_beaten else 1] += 1
    found: Beaten = {}
    for (axis, value, sibling), (worse, others) in sorted(tally.items()):
        name = space.axes[axis].name
        if worse >= PAIRS and not others and (name, sibling) not in found:
            found.setdefault((name, value), (name, sibling, worse))
    return found


def _pairs(space: Space, points: Sequence[GridPoint]) -> Iterator[tuple[int, GridPoint, GridPoint]]:
    """Points that differ in one axis of words alone, and in what depends on it."""
    for at, axis in enumerate(space.axes):
        if axis.is_ordered:
            continue  # of numbers the forecast knows the order
        below = _below(space, axis.name)
        groups: dict[GridPoint, list[GridPoint]] = defaultdict(list)
        for point in points:
            if point[at] != OFF:
                rest = tuple(OFF if other == at or other in below else v for other, v in enumerate(point))
                groups[rest].append(point)
        for group in groups.values():
            for a, b in itertools.combinations(group, 2):
                if a[at] != b[at] and all(a[o] in (b[o], OFF) or b[o] == OFF for o in below):
                    yield at, a, b


def _below(space: Space, name: str) -> frozenset[int]:
    """The axes whose condition names this one, or one below it."""
    found: set[str] = {name}
    for axis in space.axes:  # an axis stands below those that it depends on
        if found & set(axis.when):
            found.add(axis.name)
    return frozenset(at for at, axis in enumerate(space.axes) if axis.name in found - {name})
