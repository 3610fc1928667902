"""Stored pictures and masks as arrays, and the regions of a picture in which quality is measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mic2e_bench.pictures import HALF, open_picture

RING = 1 / 20  # width of the ring around the mask, in short sides


@dataclass(frozen=True)
class Picture:
    """A picture file; where ``kept`` is given, outside ``mask`` it is that file's picture instead.

    ``grain`` adds -1, 0 or 1 of 255, at random from a fixed seed, to every value, ``lift`` adds 1; ``frayed`` takes
    half of the pixels at a mask's edge away, at random likewise. ``noise`` is a picture of random weights, whose file
    need not be kept. ``is_mask``: it is a mask that somebody gave.
    """

    path: Path
    kept: Path | None = None
    mask: Path | None = None
    grain: bool = False
    lift: bool = False
    frayed: bool = False
    noise: bool = False
    is_mask: bool = False

    def read(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """Bytes (height, width, 3), resized bicubically to ``size`` (width, height) where it has another."""
        image = open_picture(self.path, self.is_mask).convert("RGB")
        if self.kept and self.mask:
            kept = open_picture(self.kept)
            inside = Image.fromarray(read_mask(self.mask, kept.size))
            image = Image.composite(image.resize(kept.size), kept, inside)
        if size and image.size != size:
            image = image.resize(size, Image.Resampling.BICUBIC)
        array = np.asarray(image)
        if self.grain or self.lift:
            noise = np.random.default_rng(0).integers(-1, 2, array.shape) if self.grain else np.int16(1)
            array = np.clip(array + noise, 0, 255).astype(np.uint8)
        if self.frayed:
            from scipy.ndimage import binary_erosion

            inside = array[..., 0] >= HALF
            edge = inside & ~binary_erosion(inside, border_value=1)
            kept = inside & ~(edge & (np.random.default_rng(0).random(edge.shape) < 0.5))
            array = np.repeat(np.uint8(255) * kept[..., None], 3, axis=2)
        return array


@dataclass(frozen=True)
class Masks:
    """The files that a picture's regions come from; ``shadow`` is what shall be removed together with the object."""

    mask: Path
    shadow: Path | None = None

    def regions(self, size: tuple[int, int]) -> dict[str, np.ndarray]:
        """Boolean arrays (height, width) for pictures of ``size`` (width, height); one without pixels is left out.

        ``inside`` is the mask with the shadow; ``outside`` all the rest; ``ring`` the part of the rest that is within
        1/20 of the short side.
        """
        from scipy.ndimage import distance_transform_edt

        inside = read_mask(self.mask, size)
        if self.shadow:
            inside = inside | read_mask(self.shadow, size)
        near = distance_transform_edt(~inside) <= RING * min(size) if inside.any() else inside
        found = {"inside": inside, "outside": ~inside, "ring": near & ~inside}
        return {name: region for name, region in found.items() if region.any()}


def read_mask(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """A mask file as booleans (height, width), true where the object is, at ``size`` (width, height; nearest)."""
    mask = open_picture(path, mask=True)
    if size and mask.size != size:
        mask = mask.resize(size, Image.Resampling.NEAREST)
    return np.asarray(mask) >= HALF
