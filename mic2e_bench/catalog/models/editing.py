"""The service's way of calling an editing pipeline: short-side resize before, resize back after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from mic2e_bench.catalog.models.objectclear.inputs import resize_by_short_side

if TYPE_CHECKING:
    from mic2e_bench.catalog.pipeline import Build, Item


def to_model_size(build: Build, item: Item) -> tuple[Image.Image, Image.Image]:
    """Image and mask at the size that the model works at; the mask by nearest neighbour, so that it stays binary."""
    filter = Image.Resampling[build.call["resample"].upper()]
    build.call["resampled_by"] = filter.name.lower()
    side = build.call["resolution"]
    return resize_by_short_side(item.image, side, filter), resize_by_short_side(
        item.mask, side, Image.Resampling.NEAREST
    )


def to_input_size(pictures: list[Image.Image], item: Item) -> list[Image.Image]:
    """Pictures at the size of the user's image, by bicubic interpolation."""
    return [picture.resize(item.image.size, Image.Resampling.BICUBIC) for picture in pictures]
