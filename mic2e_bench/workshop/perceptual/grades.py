"""Graded changes for training: relatives of the kinds that the stand-in is judged by (``distort``), none of them those.

Each takes an image (3, side, side) in [0, 1], a level from 1 to 8 and a numpy generator.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def smaller(image: Tensor, level: int, rng: np.random.Generator) -> Tensor:
    """Made smaller and large again, as at a lower resolution."""
    side = image.shape[-1]
    small = functional.interpolate(image[None], size=max(8, int(side / (1.15 * 1.25**level))), mode="area")
    return functional.interpolate(small, size=side, mode="bicubic", align_corners=False)[0]


def posterised(image: Tensor, level: int, rng: np.random.Generator) -> Tensor:
    steps = 2 ** (6.5 - 0.45 * level)
    return torch.round(image * steps) / steps


def specks(image: Tensor, level: int, rng: np.random.Generator) -> Tensor:
    where = torch.from_numpy(rng.random(image.shape[1:]) < 0.004 * 1.6**level)
    return torch.where(where, torch.from_numpy(rng.integers(0, 2, image.shape)).float(), image)


def gamma(image: Tensor, level: int, rng: np.random.Generator) -> Tensor:
    return image.clamp(1e-3, 1) ** (1.08 ** (level * rng.choice([-1, 1])))


def saturation(image: Tensor, level: int, rng: np.random.Generator) -> Tensor:
    grey = image.mean(0, keepdim=True)
    return grey + (image - grey) * (1 + level * rng.choice([-0.12, 0.15]))


def contrast(image: Tensor, level: int, rng: np.random.Generator) -> Tensor:
    return image.mean() + (image - image.mean()) * (1 - 0.09 * level)


def tint(image: Tensor, level: int, rng: np.random.Generator) -> Tensor:
    """One channel multiplied: a filter before the lens."""
    gains = torch.ones(3, 1, 1)
    gains[rng.integers(3)] = 1.05 ** (level * rng.choice([-1, 1]))
    return image * gains


def moved(image: Tensor, level: int, rng: np.random.Generator) -> Tensor:
    angle, way = rng.uniform(0, 2 * math.pi), 2 * 0.35 * 1.35**level / image.shape[-1]
    return _affine(image, [[1, 0, way * math.cos(angle)], [0, 1, way * math.sin(angle)]])


def turned(image: Tensor, level: int, rng: np.random.Generator) -> Tensor:
    angle = math.radians(0.4 * 1.35**level) * rng.choice([-1, 1])
    return _affine(image, [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0]])


def _affine(image: Tensor, matrix: list[list[float]]) -> Tensor:
    grid = functional.affine_grid(torch.tensor([matrix], dtype=torch.float32), (1, *image.shape), align_corners=False)
    return functional.grid_sample(image[None], grid, padding_mode="reflection", align_corners=False)[0]


def clouds(shape: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    """Noise whose spectrum falls with frequency as that of natural pictures does; standard deviation 1."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(shape[-1]), np.fft.fftfreq(shape[-2])))
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(rng.normal(size=shape)) / frequency ** rng.uniform(0.5, 1.5)
    noise = np.fft.ifft2(spectrum).real
    return torch.from_numpy((noise / noise.std(axis=(-3, -2, -1), keepdims=True)).astype(np.float32))


def cloudy(image: Tensor, level: int, rng: np.random.Generator) -> Tensor:
    return image + 0.012 * 1.4**level * clouds(tuple(image.shape), rng)


def speckled(image: Tensor, level: int, rng: np.random.Generator) -> Tensor:
    """Grain that grows with brightness, the same in all channels."""
    return image * (1 + 0.02 * 1.4**level * torch.from_numpy(rng.normal(size=image.shape[1:])).float())


def blocky(image: Tensor, level: int, rng: np.random.Generator) -> Tensor:
    mean = functional.interpolate(functional.avg_pool2d(image[None], 8), scale_factor=8, mode="nearest")[0]
    return image + (mean - image) * 0.11 * level


def streaked(image: Tensor, level: int, rng: np.random.Generator) -> Tensor:
    """Blurred along one axis, as by a moving camera."""
    length = 1 + level
    padded = functional.pad(image[:, None], (length // 2, (length - 1) // 2, 0, 0), mode="reflect")
    return functional.conv2d(padded, torch.full((1, 1, 1, length), 1 / length))[:, 0]


CHANGES = (
    smaller, posterised, specks, gamma, saturation, contrast, tint, moved, turned, cloudy, speckled, blocky, streaked,
)  # fmt: skip
