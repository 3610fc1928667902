"""What every call begins with: generators, noise, and the same input over and over where a call has several images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mic2e_bench.catalog.pipeline import Build


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
