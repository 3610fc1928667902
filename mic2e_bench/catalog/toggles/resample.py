"""The filter that resizes the picture for the model."""

from __future__ import annotations

from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.catalog.toggle import Phase, Seen, Toggle, in_call, one_of

FILTERS = ("nearest", "bilinear", "bicubic", "lanczos")


def apply(build: Build, value: str) -> None:
    build.call["resample"] = value


def observe(build: Build, value: str) -> Seen:
    return Seen(build.call.get("resampled_by"), "the filter that Pillow was called with")


RESAMPLE = Toggle(
    name="resample",
    phase=Phase.CALL,
    values=" | ".join(FILTERS),
    default="bicubic",
    parse=one_of(*FILTERS),
    apply=apply,
    observe=observe,
    cost="real",
    about="Pillow's filter for resizing the picture to the model's size (masks always use nearest).\n"
    "A few milliseconds at most, whichever it is; it decides how much detail reaches the model.",
    source="Speed & Memory Optimization Guide, 5",
    fits=lambda pipeline: pipeline.size == "short_side",
    code=in_call,
)
