"""Attention-guided fusion in pixel space (arXiv 2505.22636): the original outside, the generated inside."""

import cv2
import numpy as np
import torch
from torch.nn import functional

LEVELS = 5


def fuse(original, generated, attention, device="cpu"):
    """Return the fused picture, 8-bit (H, W, 3).

    original, generated: 8-bit (H, W, 3). attention: the 8-bit map (h, w), H/h a whole number. Where it is
    above 128 lies the object with its effects. `device` is where the blurring runs.
    """
    scale = original.shape[0] // attention.shape[0]
    hard = np.kron(attention > 128, np.ones((scale, scale), np.float32))
    soft = soften(hard)[..., None]
    outside = 1 - hard[..., None]
    original, generated = original.astype(np.float32) / 255, generated.astype(np.float32) / 255
    # High frequencies of the original plus the lowest band of the generated picture. The high frequencies of
    # all levels add up to the picture less its lowest band, and the low-pass is linear: one low-pass of the
    # difference.
    correction = torch.from_numpy((generated - original) * outside).permute(2, 0, 1).to(device)
    correction = lowest_band(correction[None])[0].permute(1, 2, 0).cpu().numpy()
    background = _truncate(original * outside + correction).astype(np.float32) / 255
    return _truncate(background * (1 - soft) + generated * soft)


def soften(hard):
    """Grow a 0/1 float mask (H, W) by a 21 pixel ellipse and blur its border, never below the mask itself."""
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (21, 21))
    blurred = cv2.GaussianBlur(cv2.dilate(hard, ellipse), (9, 9), 2)
    return np.clip(np.maximum(blurred, hard), 0, 1)


def lowest_band(picture):
    """The lowest band of a 5-level wavelet decomposition of (B, 3, H, W) floats.

    Each level blurs, then resamples down by 2^level and up again. The corners of both grids coincide
    (scipy.ndimage.zoom's default grid, order 1; a test compares the two).
    """
    full = picture.shape[-2:]
    for level in range(LEVELS):
        picture = blur(picture)
        if level:
            small = [max(1, round(side / 2**level)) for side in full]
            for size in (small, full):
                picture = functional.interpolate(picture, tuple(size), mode="bilinear", align_corners=True)
    return picture


def blur(picture):
    """[1 2 1; 2 4 2; 1 2 1] / 16 with repeated edges: one axis after the other, faster than a convolution."""
    padded = functional.pad(picture, (1, 1, 1, 1), mode="replicate")
    rows = (padded[..., :-2, :] + padded[..., 2:, :]) / 4 + padded[..., 1:-1, :] / 2
    return (rows[..., :-2] + rows[..., 2:]) / 4 + rows[..., 1:-1] / 2


def _truncate(picture):
    return (np.clip(picture, 0, 1) * 255).astype(np.uint8)
