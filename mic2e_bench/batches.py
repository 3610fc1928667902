"""Several images in one call: the same input over and over, each image with a seed of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mic2e_bench.build import Build


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
