"""The size at which the model works."""

from __future__ import annotations

from typing import Any

from mic2e_bench.catalog.pipeline import Build, Pipeline
from mic2e_bench.catalog.toggle import Phase, Seen, Toggle, in_call

LOW, HIGH = 64, 4096


def parse(value: Any, pipeline: Pipeline) -> int | list[int]:
    """A short side, or for text-to-image a size as 512, "512x768" (height x width) or [512, 768]."""
    if pipeline.size == "short_side":
        if isinstance(value, bool) or not isinstance(value, int) or not LOW <= value <= HIGH:
            raise ValueError(f"a short side in pixels, a whole number from {LOW} to {HIGH}")
        return value
    sides = value.lower().split("x") if isinstance(value, str) else value
    sides = [sides, sides] if isinstance(sides, int) else sides
    try:
        if any(isinstance(side, float) for side in sides):
            raise ValueError
        height, width = (int(side) for side in sides)
    except (TypeError, ValueError):
        raise ValueError("a size: 512, or height x width as '512x768' or [512, 768]") from None
    step = pipeline.multiple
    if any(side % step or not LOW <= side <= HIGH for side in (height, width)):
        raise ValueError(f"a size that {pipeline.name} can take: both sides multiples of {step} from {LOW} to {HIGH}")
    return [height, width]


def apply(build: Build, value: int | list[int]) -> None:
    build.call["resolution"] = value


def observe(build: Build, value: int | list[int]) -> Seen:
    if not build.witness.sizes:
        return Seen(None, "the VAE decoded nothing", applied=False)
    height, width = build.witness.sizes[0]
    how = f"the VAE decoded {height}x{width} (height x width)"
    if isinstance(value, list):
        return Seen([height, width], how)
    rounded = -(-value // build.pipeline.multiple) * build.pipeline.multiple
    short = min(height, width)
    reason = "" if short >= rounded else "the image's own short side is smaller, and it is not enlarged"
    return Seen(short, how, applied=short == rounded, reason=reason)


def arguments(value: int | list[int], pipeline: Pipeline) -> dict[str, int]:
    """Pipelines that edit get their size with the picture."""
    return dict(zip(("height", "width"), value, strict=True)) if pipeline.size == "height_width" else {}


RESOLUTION = Toggle(
    name="resolution",
    phase=Phase.CALL,
    values="short side in pixels; for text-to-image 512, 512x768 or [height, width]",
    default=512,
    parse=parse,
    apply=apply,
    arguments=arguments,
    observe=observe,
    cost="real",
    about="The size at which the model works: convolutions cost by the pixels, attention by their square.\n"
    "Edited images are resized to it by their short side and resized back; detail above it is lost.",
    source="Speed & Memory Optimization Guide, 3; Performance Comparison",
    fits=lambda pipeline: pipeline.size != "fixed",
    code=in_call,
)
