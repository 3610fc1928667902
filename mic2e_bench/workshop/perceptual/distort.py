"""Graded distortions of pictures: five kinds, eight levels each, every level clearly worse than the one before.

Pictures are float32 arrays (height, width, 3) in [0, 1].
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np

LEVELS = range(1, 9)
JPEG_QUALITY = (80, 60, 45, 33, 24, 17, 11, 6)


def distort(kind: str, image: np.ndarray, level: int, seed: int) -> np.ndarray:
    """The picture with one distortion at a level from 1 to 8; its random draws come from the seed."""
    changed = KINDS[kind](image, level, np.random.default_rng(seed))
    return np.clip(changed, 0, 1).astype(np.float32)


def blur(image: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian, standard deviation 0.5 to 4 pixels."""
    from scipy.ndimage import gaussian_filter

    sigma = 0.5 * 8 ** ((level - 1) / 7)
    return gaussian_filter(image, (sigma, sigma, 0), mode="reflect")


def noise(image: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    """White, standard deviation 0.01 to 0.16."""
    return image + rng.normal(0, 0.01 * 16 ** ((level - 1) / 7), image.shape)


def jpeg(image: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    """JPEG of quality 80 to 6."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.round(image * 255).astype(np.uint8)).save(stream, "JPEG", quality=JPEG_QUALITY[level - 1])
    return np.asarray(Image.open(stream), dtype=np.float32) / 255


def colour(image: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    """All pixels shifted in one random direction of RGB, by 0.02 to 0.25."""
    direction = rng.normal(size=3)
    return image + 0.02 * 12.5 ** ((level - 1) / 7) * direction / np.linalg.norm(direction)


def warp(image: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    """A smooth random displacement, 0.25 to 4 pixels (root mean square)."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    size = image.shape[:2]
    field = [gaussian_filter(rng.normal(size=size), 8, mode="wrap") for _ in range(2)]
    scale = 0.25 * 16 ** ((level - 1) / 7) / np.sqrt(np.mean(np.square(field)) * 2)
    places = [grid + scale * shift for grid, shift in zip(np.indices(size), field, strict=True)]
    return np.stack([map_coordinates(image[..., c], places, order=1, mode="reflect") for c in range(3)], axis=-1)


KINDS: dict[str, Callable[[np.ndarray, int, np.random.Generator], np.ndarray]] = {
    "blur": blur, "noise": noise, "jpeg": jpeg, "colour": colour, "warp": warp,
}  # fmt: skip
