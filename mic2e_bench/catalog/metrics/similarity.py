"""Pixel and structure similarity of two images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mic2e_bench.catalog.metric import Metric

MOST_DB = 100.0  # images that are equal have no finite ratio; JSON, means and plots need one
WINDOW, SIGMA = 11, 1.5  # of SSIM, pixels (Wang et al. 2004)
EDGE = WINDOW // 2  # where the window would reach beyond the image
SMALLEST_MS_SSIM = 161  # pixels: five scales of an 11-pixel window (Wang et al. 2003)


def psnr(candidate: np.ndarray, reference: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB; 100 for equal images."""
    return psnr_within(candidate, reference, {})[""]


def psnr_within(candidate: np.ndarray, reference: np.ndarray, regions: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The ratio over all pixels (``""``) and over those of each region (boolean, height x width)."""
    squared = np.square(candidate.astype(np.float64) - reference).mean(axis=2)
    errors = {"": squared.mean(), **{name: squared[region].mean() for name, region in regions.items()}}
    return {name: _decibels(error) for name, error in errors.items()}


def squared_error(ratio: float) -> float:
    """The mean squared error that a ratio means; of 100 dB none.

    Over several images this is averaged: a mean of decibels would hang on what is put down for an image that is equal.
    """
    return 0.0 if ratio >= MOST_DB else 10 ** (-ratio / 10)


def _decibels(error: float) -> float:
    return -10 * float(np.log10(max(error, 10 ** (-MOST_DB / 10))))


def ssim(candidate: np.ndarray, reference: np.ndarray) -> float:
    """Structural similarity: Gaussian window of 11 pixels, sigma 1.5 (Wang et al. 2004), data range 1.

    The mean over channels and all pixels at which the window lies within the image, as Wang's code and scikit-image
    (``gaussian_weights``, without ``use_sample_covariance``) have it. ``ValueError`` for images smaller than a window.
    """
    return ssim_within(candidate, reference, {})[""]


def ssim_within(candidate: np.ndarray, reference: np.ndarray, regions: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The similarity over the whole (``""``) and over each region, of which no pixel outside it is a part.

    In a region the window's weights outside of it are zero, and the rest are scaled to add up to one (normalised
    convolution, Knutsson and Westin 1993): so what lies beyond its edge changes nothing.
    """
    _require("ssim", WINDOW, candidate)
    one, other = candidate.astype(np.float64), reference.astype(np.float64)
    inner = slice(EDGE, -EDGE)
    found = {"": float(_ssim_map(one, other, np.ones(one.shape[:2]))[inner, inner].mean())}
    for name, region in regions.items():
        rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        inside = region[box]
        found[name] = float(_ssim_map(one[box], other[box], inside.astype(np.float64))[inside].mean())
    return found


def _ssim_map(one: np.ndarray, other: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The similarity at each pixel and channel (height, width, 3), from pixels by their weight (height, width)."""
    import cv2

    def blurred(image: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(image, (WINDOW, WINDOW), SIGMA, borderType=cv2.BORDER_CONSTANT)

    weights = weight[..., None]
    total = np.maximum(blurred(weight), np.finfo(np.float64).tiny)[..., None]
    mean, other_mean, square, other_square, product = (
        blurred(weights * image) / total for image in (one, other, one * one, other * other, one * other)
    )
    small, smaller = 0.01**2, 0.03**2  # K1 and K2 of Wang et al.
    likeness = (2 * mean * other_mean + small) / (mean**2 + other_mean**2 + small)
    variances = square - mean**2 + other_square - other_mean**2
    return likeness * (2 * (product - mean * other_mean) + smaller) / (variances + smaller)


def ms_ssim(candidate: np.ndarray, reference: np.ndarray) -> float:
    """Multi-scale structural similarity with the published five scales, by torchmetrics. ``ValueError`` if smaller."""
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as measure

    from mic2e_bench.catalog.metrics.backbones.lpips import tensors

    _require("ms_ssim", SMALLEST_MS_SSIM, candidate)
    return float(measure(*tensors(candidate, reference), data_range=1.0, normalize="relu"))


def _require(name: str, smallest: int, image: np.ndarray) -> None:
    height, width = image.shape[:2]
    if min(height, width) < smallest:
        raise ValueError(f"{name} needs images of at least {smallest} pixels a side, not {width}x{height}")


PSNR = Metric(
    "psnr", "images", "dB", "higher",
    "peak signal-to-noise ratio (100: equal images); of several images, that of their mean squared error; rewards blur",
    psnr, within=psnr_within, averaged=(squared_error, _decibels),
)  # fmt: skip
SSIM = Metric(
    "ssim", "images", "1", "higher", "structural similarity (1: equal images), borders of half a window left out", ssim,
    within=ssim_within,
)  # fmt: skip
MS_SSIM = Metric("ms_ssim", "images", "1", "higher", "structural similarity over five scales, from 161 pixels", ms_ssim)
