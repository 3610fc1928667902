"""Convolution weights and pictures with their channels innermost in memory."""

from __future__ import annotations

from typing import Any

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle, one_of

PARTS = {"none": (), "denoiser": ("denoiser",), "vae": ("vae",), "both": ("denoiser", "vae")}


def parse(value: Any, pipeline: Any) -> str:
    allowed = [name for name, parts in PARTS.items() if "vae" not in parts or "vae" in pipeline.components]
    return one_of(*allowed)(value, pipeline)


def apply(build: Build, value: str) -> None:
    import torch

    for part in PARTS[value]:
        _module(build, part).to(memory_format=torch.channels_last)


def observe(build: Build, value: str) -> Seen:
    """Strides of the weights that have height and width (of 1x1 kernels both layouts are the same)."""
    counts = {}
    for part in ("denoiser", "vae") if "vae" in build.modules() else ("denoiser",):
        weights = [p for p in _module(build, part).parameters() if p.dim() == 4]
        counts[part] = sum(map(_strided, weights)), len(weights)
    found = tuple(part for part, (strided, _) in counts.items() if strided)
    seen = next(name for name, parts in PARTS.items() if parts == found)
    how = "; ".join(f"{part}: {strided} of {all} 4-D weights channels-last" for part, (strided, all) in counts.items())
    without = [part for part in PARTS[value] if not counts[part][1]]
    reason = f"{type(_module(build, without[0])).__name__} has no 4-D weights" if without else ""
    return Seen(seen, how, reason=reason)


def _module(build: Build, part: str) -> Any:
    return build.denoiser if part == "denoiser" else build.modules()[part]


def _strided(weight: Any) -> bool:
    import torch

    return weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()


def code(value: str, settings: Settings, pipeline: Pipeline) -> Code:
    names = [pipeline.denoiser if part == "denoiser" else part for part in PARTS[value]]
    lines = (f"pipe.{name}.to(memory_format=torch.channels_last)" for name in names)
    return Code(lines="\n".join(lines), imports=("import torch",))


CHANNELS_LAST = Toggle(
    name="channels_last",
    phase=Phase.MODIFY,
    values="none | denoiser | vae | both",
    default="none",
    parse=parse,
    apply=apply,
    observe=observe,
    cost="rounding",
    about="Channels innermost in memory, as the matrix units of convolutions want them in 16 bits.\n"
    "UNets and VAEs have convolutions; the transformers have none.",
    source="Speed Optimizations Guide, 4; docs: torch, 'Channels Last Memory Format'",
    tolerance=0.02,
    code=code,
)
