"""Where in a picture quality is measured: inside the mask with its shadow, outside, and in a ring around it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

RING = 1 / 20  # width of the ring, in short sides


@dataclass(frozen=True)
class Masks:
    """The files that a picture's regions come from; ``shadow`` is what shall be removed together with the object."""

    mask: Path
    shadow: Path | None = None

    def inside(self, size: tuple[int, int]) -> np.ndarray:
        """Boolean (height, width): the mask and the shadow, at ``size`` (width, height)."""
        found = read_mask(self.mask, size)
        return found | read_mask(self.shadow, size) if self.shadow else found

    def regions(self, size: tuple[int, int]) -> dict[str, np.ndarray]:
        """``inside``; ``outside``, all the rest; ``ring``, the part of the rest within 1/20 of the short side.

        A region without pixels is left out.
        """
        from scipy.ndimage import distance_transform_edt

        inside = self.inside(size)
        near = distance_transform_edt(~inside) <= RING * min(size) if inside.any() else inside
        found = {"inside": inside, "outside": ~inside, "ring": near & ~inside}
        return {name: region for name, region in found.items() if region.any()}


def read_mask(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """A mask file as booleans (height, width), true from half brightness, at ``size`` (width, height; nearest)."""
    with Image.open(path) as image:
        mask = image.convert("L")
    if size and mask.size != size:
        mask = mask.resize(size, Image.Resampling.NEAREST)
    return np.asarray(mask) >= 128
