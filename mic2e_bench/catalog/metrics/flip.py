"""FLIP: the difference seen when alternating between two images (Andersson et al. 2020), by NVIDIA's package.

LDR-FLIP under its default viewing conditions, 67 pixels per degree: a display 0.7 m wide with 3840 pixels, seen from
0.7 m. It has no weights.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping

import numpy as np

from mic2e_bench.catalog.metric import Metric
from mic2e_bench.errors import Unavailable


def flip(candidate: np.ndarray, reference: np.ndarray) -> float:
    """The mean of the map."""
    return flip_within(candidate, reference, {})[""]


def flip_within(candidate: np.ndarray, reference: np.ndarray, regions: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The mean of the map over the whole (``""``) and over each region; a pixel's also sees its neighbourhood."""
    seen = error_map(candidate, reference)
    return {name: float(seen[region].mean()) for name, region in {"": np.full(seen.shape, True), **regions}.items()}


def error_map(candidate: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The difference at each pixel (height, width), 0 to 1. Raises ``Unavailable`` without the package."""
    if np.array_equal(candidate, reference):
        return np.zeros(reference.shape[:2])
    try:
        import flip_evaluator
    except ImportError:
        raise Unavailable("flip: the package flip-evaluator is not installed (uv pip install flip-evaluator)") from None
    given = (np.ascontiguousarray(image, dtype=np.float32) for image in (reference, candidate))
    with _all_processors():
        seen = flip_evaluator.evaluate(*given, "LDR", applyMagma=False, computeMeanError=False)[0]
    return seen[..., 0].astype(float)


@contextlib.contextmanager
def _all_processors() -> Iterator[None]:
    """Let FLIP have as many threads as there are processors: its pixels do not depend on them.

    Torch and FLIP share one OpenMP, and scoring gives torch a single thread, on which torch's bits do depend.
    """
    torch = sys.modules.get("torch")
    if not torch:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def backbone() -> str:
    """The viewing conditions."""
    return "LDR-FLIP, 67 pixels per degree"


FLIP = Metric(
    "flip", "images", "1", "lower", "difference seen when alternating them, 67 pixels per degree (0: equal)", flip,
    backbone, flip_within,
)  # fmt: skip
