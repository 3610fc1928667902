"""Pixel and structure similarity of two images, by torchmetrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mic2e_bench.catalog.metric import Metric

MOST_DB = 100.0  # images that are equal have no finite ratio; JSON, means and plots need one
SMALLEST_SSIM = 11  # pixels: one window
SMALLEST_MS_SSIM = 161  # pixels: five scales of an 11-pixel window (Wang et al. 2003)


def psnr(candidate: np.ndarray, reference: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB; 100 for equal images."""
    return psnr_within(candidate, reference, {})[""]


def psnr_within(candidate: np.ndarray, reference: np.ndarray, regions: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The ratio over all pixels (``""``) and over those of each region (boolean, height x width)."""
    squared = np.square(candidate.astype(np.float64) - reference).mean(axis=2)
    errors = {"": squared.mean(), **{name: squared[region].mean() for name, region in regions.items()}}
    return {name: -10 * float(np.log10(max(error, 10 ** (-MOST_DB / 10)))) for name, error in errors.items()}


def ssim(candidate: np.ndarray, reference: np.ndarray) -> float:
    """Structural similarity: Gaussian window of 11 pixels, sigma 1.5 (Wang et al. 2004)."""
    from torchmetrics.functional.image import structural_similarity_index_measure as measure

    return float(measure(*_tensors("ssim", SMALLEST_SSIM, candidate, reference), data_range=1.0))


def ms_ssim(candidate: np.ndarray, reference: np.ndarray) -> float:
    """Multi-scale structural similarity with the published five scales. ``ValueError`` for smaller images."""
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as measure

    given = _tensors("ms_ssim", SMALLEST_MS_SSIM, candidate, reference)
    return float(measure(*given, data_range=1.0, normalize="relu"))


def _tensors(name: str, smallest: int, candidate: np.ndarray, reference: np.ndarray) -> list[Any]:
    from mic2e_bench.catalog.metrics.backbones.lpips import tensors

    height, width = candidate.shape[:2]
    if min(height, width) < smallest:
        raise ValueError(f"{name} needs images of at least {smallest} pixels a side, not {width}x{height}")
    return tensors(candidate, reference)


PSNR = Metric(
    "psnr", "images", "dB", "higher", "peak signal-to-noise ratio (100: equal images); rewards blur", psnr,
    within=psnr_within,
)  # fmt: skip
SSIM = Metric("ssim", "images", "1", "higher", "structural similarity (1: equal images)", ssim)
MS_SSIM = Metric("ms_ssim", "images", "1", "higher", "structural similarity over five scales, from 161 pixels", ms_ssim)
