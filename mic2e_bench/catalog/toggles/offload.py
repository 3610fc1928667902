"""Weights rest in main memory and visit the accelerator when they are needed."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle, one_of


def missing(value: str, device: str) -> str:
    if value != "none" and device == "cpu":
        return "weights are moved between main memory and an accelerator, and the device is cpu"
    return ""


def apply(build: Build, value: str) -> None:
    """``device`` leaves the placing to this one wherever something is offloaded."""
    if value != "none":
        install(build, value, build.device)


def install(build: Build, value: str, device: str) -> None:
    """Have ``device`` do the work."""
    if value == "model":
        build.pipe.enable_model_cpu_offload(device=device)
    elif value == "sequential":
        build.pipe.enable_sequential_cpu_offload(device=device)
    else:
        for name, module in build.modules().items():
            # a stream's copies keep the dtype that they were made in, and SDXL pipelines cast their VAE on the way
            _group(module, device, stream=device == "cuda" and name != "vae")


def _group(module: Any, device: str, stream: bool) -> None:
    import torch
    from diffusers.hooks import apply_group_offloading

    arguments = {"onload_device": torch.device(device), "offload_type": "leaf_level", "use_stream": stream}
    if hasattr(module, "enable_group_offload"):
        module.enable_group_offload(**arguments)
    else:
        apply_group_offloading(module, **arguments)


def observe(build: Build, value: str) -> Seen:
    """The hooks that modules carry, and where they bring the weights."""
    found = {name: hooks_of(module) for name, module in build.modules().items()}
    kinds = {kind for kind, _ in found.values() if kind != "none"}
    seen = " and ".join(sorted(kinds)) or "none"
    devices = {device for kind, device in found.values() if kind != "none"}
    resting = Counter(p.device.type for module in build.modules().values() for p in module.parameters())
    hooked = sum(kind != "none" for kind, _ in found.values())
    how = f"{hooked} of {len(found)} components have hooks, to {', '.join(devices) or 'no device'}; "
    how += "weights now: " + ", ".join(f"{count} on {device}" for device, count in resting.items())
    if value != "none" and devices == {"cpu"}:
        return Seen("none", how, applied=False, reason="the hooks move weights from the CPU to the CPU")
    return Seen(seen, how)


def hooks_of(module: Any) -> tuple[str, str]:
    """Kind of offload and the device that does the work, from accelerate's and diffusers' hooks."""
    for layer in module.modules():
        hook = getattr(layer, "_hf_hook", None)
        if type(hook).__name__ == "CpuOffload":
            return "model", _type(hook.execution_device)
        if getattr(hook, "offload", False):
            return "sequential", _type(hook.execution_device)
        registry = getattr(layer, "_diffusers_hook", None)
        if registry is not None and (hook := registry.get_hook("group_offloading")):
            return "group", _type(hook.group.onload_device)
    return "none", ""


def _type(device: Any) -> str:
    import torch

    return torch.device(device).type


def code(value: str, settings: Settings, pipeline: Pipeline) -> Code | None:
    if value == "none":
        return Code()
    method = {"model": "enable_model_cpu_offload", "sequential": "enable_sequential_cpu_offload"}.get(value)
    device = "" if settings["device"] == "auto" else f'device="{settings["device"]}"'
    return Code(lines=f"pipe.{method}({device})") if method else None


OFFLOAD = Toggle(
    name="offload",
    phase=Phase.PLACE,
    values="none | model | sequential | group",
    default="none",
    parse=one_of("none", "model", "sequential", "group"),
    apply=apply,
    observe=observe,
    cost="none",
    about="Weights visit the GPU one component (model), one layer (sequential) or one layer ahead of its use (group).\n"
    "Memory falls to that of the largest visitor; the price is the copying at each step, least for model.",
    source="Speed & Memory Optimization Guide, 'Ultra-Aggressive' 4 and 5; docs: diffusers, 'Reduce memory usage'",
    fits=lambda pipeline: pipeline.task != "segmentation",
    missing=missing,
    tolerance=0.02,
    code=code,
)
