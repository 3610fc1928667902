"""The hypervolume of a front: how much of the box between the front and a reference point is dominated.

Every array holds costs (lower is better), shape (n, k) with k from 1 to 3. The reference point is the worst corner of
the box: what is not better than it in every quantity counts nothing.
"""

from __future__ import annotations

import functools

import numpy as np

from mic2e_bench.tools.recommend.pareto import nondominated


def share(costs: np.ndarray, reference: np.ndarray, ideal: np.ndarray) -> float:
    """The share, 0 to 1, of the box between ``ideal`` and ``reference`` (shape (k,) each) that points dominate.

    The box is cut into cells at the front's own coordinates, so the volume is exact.
    """
    edges, dominated = _cells(costs, reference, ideal)
    cells = functools.reduce(np.multiply.outer, [np.diff(edge) for edge in edges])
    return float(cells[dominated].sum() / cells.sum())


def gains(costs: np.ndarray, others: np.ndarray, reference: np.ndarray, ideal: np.ndarray) -> np.ndarray:
    """By how much of the box the share would grow with each of ``others``, shape (m, k), alone: shape (m,)."""
    edges, dominated = _cells(costs, reference, ideal)
    # of each cell and other point the part of the cell's width that lies beyond the point
    beyond = [np.diff(np.maximum(edge, column[:, None])) / (edge[-1] - edge[0])
              for edge, column in zip(edges, np.asarray(others, dtype=float).T, strict=True)]  # fmt: skip
    total = np.tensordot((~dominated).astype(float), beyond[-1], (-1, -1))
    for widths in reversed(beyond[:-1]):
        total = np.einsum("...in,ni->...n", total, widths)
    return total


def _cells(costs: np.ndarray, reference: np.ndarray, ideal: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The edges of the box's cells along each axis, and which cells are dominated."""
    reference, ideal = np.asarray(reference, dtype=float), np.asarray(ideal, dtype=float)
    costs = np.asarray(costs, dtype=float).reshape(-1, len(reference))
    inside = np.clip(costs[(costs < reference).all(axis=1)], ideal, None)
    front = inside[nondominated(inside)]
    edges = [np.unique([*column, low, high]) for column, low, high in zip(front.T, ideal, reference, strict=True)]
    dominated = np.zeros([len(edge) - 1 for edge in edges], dtype=bool)
    for point in front:
        corner = [np.searchsorted(edge, value) for edge, value in zip(edges, point, strict=True)]
        dominated[tuple(slice(start, None) for start in corner)] = True
    return edges, dominated


def frame(costs: np.ndarray, margin: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Reference and ideal of points' own front: its worst and its best value of each quantity.

    The reference lies ``margin`` of the range beyond the worst, so that the front's ends count as well. What is worse
    than the whole front in one quantity then adds nothing. Where the front has one value, the range is that of all
    points.
    """
    costs = np.asarray(costs, dtype=float)
    front = costs[nondominated(costs)]
    ideal, worst = front.min(axis=0), front.max(axis=0)
    wide = worst - ideal
    wide = np.where(wide > 0, wide, costs.max(axis=0) - ideal)
    wide = np.where(wide > 0, wide, np.maximum(np.abs(ideal), 1e-9) * 1e-3)
    return worst + margin * wide, ideal
