"""What pipelines' calls have in common: generators, noise, the same input for several images; resizing as the service
does it where a picture is edited, to a short side before and back after.
"""

from __future__ import annotations

from typing import Any

from PIL import Image

from mic2e_bench.catalog.models.objectclear.inputs import resize_by_short_side
from mic2e_bench.catalog.pipeline import Build, Item
from mic2e_bench.errors import BadInput
from mic2e_bench.pictures import HALF


def per_image(build: Build, value: Any) -> Any:
    """``value`` as it is for one image; for several a fresh list with it once for each."""
    batch = build.call.get("batch", 1)
    return value if batch == 1 else [value] * batch


def generators(build: Build, seed: int) -> Any:
    """A fresh generator; for several images a list of them with the seeds ``seed``, ``seed + 1``, ...

    So the first image of a batch is the image of a single call: one generator would draw for all images at once.
    """
    import torch

    made = [torch.Generator().manual_seed(seed + index) for index in range(build.call.get("batch", 1))]
    return made[0] if len(made) == 1 else made


def noise(build: Build, drawing: Any, channels: int, height: int, width: int) -> Any:
    """Starting noise of shape (images, channels, height, width), drawn in float32 and then cast to the asked precision.

    SDXL and FLUX would draw it in the model's own dtype, and one seed gives other numbers in half precision than in
    float32: a picture compared across precisions would be another picture, not a worse one. In float32 this draws
    what the pipelines draw, and leaves the generators as they do.
    """
    import torch

    drawing = drawing if isinstance(drawing, list) else [drawing]
    drawn = [torch.randn((1, channels, height, width), generator=generator) for generator in drawing]
    return torch.cat(drawn).to(build.load["dtype"])


def to_model_size(build: Build, item: Item) -> tuple[Image.Image, Image.Image]:
    """Image and mask at the size that the model works at; the mask by nearest neighbour, so that it stays binary."""
    filter = Image.Resampling[build.call["resample"].upper()]
    build.call["resampled_by"] = filter.name.lower()
    chosen = ((item.image, filter), (item.mask, Image.Resampling.NEAREST))
    image, mask = (resize_by_short_side(picture, build.call["resolution"], by) for picture, by in chosen)
    if mask.getextrema()[1] < HALF:
        raise BadInput(f"the mask of {item.name} has no pixel left at {mask.width}x{mask.height}: ask for more pixels")
    return image, mask


def to_input_size(pictures: list[Image.Image], item: Item) -> list[Image.Image]:
    """Pictures at the size of the user's image, by bicubic interpolation."""
    return [picture.resize(item.image.size, Image.Resampling.BICUBIC) for picture in pictures]
