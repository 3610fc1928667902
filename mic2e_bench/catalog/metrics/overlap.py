"""Agreement of two masks."""

from __future__ import annotations

import numpy as np

from mic2e_bench.catalog.metric import Metric


def iou(candidate: np.ndarray, reference: np.ndarray) -> float:
    """Intersection over union of two boolean masks of one shape; two empty masks agree (1)."""
    union = np.logical_or(candidate, reference).sum()
    return float(np.logical_and(candidate, reference).sum() / union) if union else 1.0


IOU = Metric("iou", "masks", "1", "higher", "intersection over union of two masks (1: the same mask)", iou)
