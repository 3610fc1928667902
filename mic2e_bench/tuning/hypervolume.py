"""The hypervolume of a front: how much of the box between the front and a reference point is dominated.

Every array holds costs (lower is better), shape (n, k) with k from 1 to 3. The reference point is the worst corner of
the box: what is not better than it in every quantity counts nothing.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from mic2e_bench.choosing.front import nondominated


class Box:
    """The part of the box above ``reference`` (shape (k,)) that ``costs`` leave undominated.

    It is cut into cells at the front's own coordinates. The undominated volume between a point and the reference is
    then a sum of whole cells, and linear in each coordinate inside a cell: exact, and quick for many points at once.
    """

    def __init__(self, costs: np.ndarray, reference: np.ndarray, ideal: np.ndarray) -> None:
        self.reference, self.ideal = np.asarray(reference, dtype=float), np.asarray(ideal, dtype=float)
        costs = np.asarray(costs, dtype=float).reshape(-1, len(self.reference))
        inside = np.clip(costs[(costs < self.reference).all(axis=1)], self.ideal, None)
        self.front = inside[nondominated(inside)] if len(inside) else inside
        edges = [
            np.unique([*self.front[:, axis], self.ideal[axis], self.reference[axis]])
            for axis in range(len(self.reference))
        ]
        free = np.ones([len(edge) - 1 for edge in edges], dtype=bool)
        for point in self.front:
            corner = [np.searchsorted(edge, value) for edge, value in zip(edges, point, strict=True)]
            free[tuple(slice(start, None) for start in corner)] = False
        sizes = np.ones(())
        for edge in edges:
            sizes = np.multiply.outer(sizes, np.diff(edge))
        self.whole, self.free = float(sizes.sum()), float(sizes[free].sum())
        above = np.where(free, sizes, 0.0)
        for axis in range(above.ndim):  # at each corner: the undominated volume from there to the reference
            above = np.flip(np.flip(above, axis).cumsum(axis), axis)
            above = np.concatenate([above, np.zeros_like(above.take([0], axis))], axis)
        self.above = RegularGridInterpolator(edges, above)

    @property
    def share(self) -> float:
        """The dominated share of the box, 0 to 1."""
        return 1 - self.free / self.whole

    def gain(self, costs: np.ndarray) -> np.ndarray:
        """For each point the volume, as a share of the box, by which it alone would raise ``share``."""
        return self.above(np.clip(costs, self.ideal, self.reference)) / self.whole


def share(costs: np.ndarray, reference: np.ndarray, ideal: np.ndarray) -> float:
    """The share, 0 to 1, of the box between ``ideal`` and ``reference`` that points dominate."""
    return Box(costs, reference, ideal).share


def frame(costs: np.ndarray, margin: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Reference and ideal of points' own front: its worst and its best value of each quantity.

    The reference lies ``margin`` of the range beyond the worst, so that the front's ends count as well. What is worse
    than the whole front in one quantity then adds nothing. Where the front has one
    value, the range is that of all points.
    """
    costs = np.asarray(costs, dtype=float)
    front = costs[nondominated(costs)]
    ideal, worst = front.min(axis=0), front.max(axis=0)
    wide = worst - ideal
    wide = np.where(wide > 0, wide, costs.max(axis=0) - ideal)
    wide = np.where(wide > 0, wide, np.maximum(np.abs(ideal), 1e-9) * 1e-3)
    return worst + margin * wide, ideal
