"""Device memory in segments that grow, instead of many of fixed size."""

from __future__ import annotations

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle, on_off


def apply(build: Build, value: bool) -> None:
    """In LOAD, before anything is allocated on the device."""
    import torch

    if value:  # the environment variable is read once, and the fork server has read it
        torch._C._accelerator_setAllocatorSettings("expandable_segments:True")


def observe(build: Build, value: bool) -> Seen:
    import torch

    if build.device != "cuda":
        reason = f"it is a way to allocate on CUDA devices; the device is {build.device}"
        return Seen(False, reason, applied=not value, reason=reason)
    segments = torch.cuda.memory_snapshot()
    growing = sum(segment.get("is_expandable", False) for segment in segments)
    return Seen(growing > 0, f"{growing} of {len(segments)} segments of the CUDA allocator are expandable")


def code(value: bool, settings: Settings, pipeline: Pipeline) -> Code:
    if not value or settings["device"] == "cpu":
        return Code()
    lines = 'torch._C._accelerator_setAllocatorSettings("expandable_segments:True")'
    return Code(lines=f"{lines}  # or the variable PYTORCH_ALLOC_CONF", imports=("import torch",))


EXPANDABLE_SEGMENTS = Toggle(
    name="expandable_segments",
    phase=Phase.LOAD,
    values="false | true",
    default=False,
    parse=on_off,
    apply=apply,
    observe=observe,
    cost="none",
    about="The CUDA allocator grows its segments instead of adding new ones, so less memory is lost between them.\n"
    "It helps where sizes change from call to call.",
    source="Speed Optimizations Guide, 2; docs: torch, 'CUDA semantics: Memory management'",
    tolerance=0.0,
    code=code,
)
