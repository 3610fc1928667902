"""The share of the device's memory that PyTorch may take."""

from __future__ import annotations

import math

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle, number


def apply(build: Build, value: float) -> None:
    """In LOAD, before anything is allocated on the device."""
    import torch

    if build.device == "cuda" and value < 1:
        torch.cuda.set_per_process_memory_fraction(value)


def on_live(build: Build, value: float) -> str:
    """It caps what is allocated from now on."""
    apply(build, value)
    return ""


def observe(build: Build, value: float) -> Seen:
    import torch

    if build.device != "cuda":
        reason = f"it caps the memory of a CUDA device; the device is {build.device}"
        return Seen(1.0, reason, applied=value == 1, reason=reason)
    seen = torch.cuda.get_per_process_memory_fraction()
    # PyTorch keeps whole bytes and gives back bytes / total, which is rarely the number that was set
    return Seen(seen, "torch.cuda.get_per_process_memory_fraction()", applied=math.isclose(seen, value, rel_tol=1e-6))


def code(value: float, settings: Settings, pipeline: Pipeline) -> Code:
    if value == 1 or settings["device"] == "cpu":
        return Code()
    return Code(lines=f"torch.cuda.set_per_process_memory_fraction({value})", imports=("import torch",))


MEMORY_FRACTION = Toggle(
    name="memory_fraction",
    phase=Phase.LOAD,
    values="number from 0.001 to 1",
    default=1.0,
    parse=number(float, 0.001, 1),
    apply=apply,
    on_live=on_live,
    observe=observe,
    cost="none",
    about="PyTorch's allocator frees its cache or gives up rather than take more of the device than this.\n"
    "It makes nothing faster; it shows whether a setting fits a smaller card.",
    source="Speed Optimizations Guide, 2; docs: torch, 'torch.cuda.set_per_process_memory_fraction'",
    tolerance=0.0,
    code=code,
)
