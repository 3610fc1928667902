"""The device that the pipeline runs on."""

from __future__ import annotations

from typing import Any

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle, one_of
from mic2e_bench.errors import Unavailable
from mic2e_bench.machine import environment, nvidia


def parse(value: Any, pipeline: Any) -> str:
    value = one_of("auto", "cpu", "cuda")(value, pipeline)
    return ("cuda" if environment.gpu() else "cpu") if value == "auto" else value


def missing(value: str, device: str) -> str:
    if value != "cuda" or environment.gpu():
        return ""
    return f"no CUDA device: {nvidia.problem()}; use device: cpu or auto"


def apply(build: Build, value: str) -> None:
    import torch

    if value == "cuda" and not torch.cuda.is_available():
        raise Unavailable(f"device cuda: PyTorch finds no CUDA device: {nvidia.problem()}; use device: cpu or auto")
    if build.settings.get("offload", "none") == "none":  # an offload places the weights itself
        build.pipe.to(value)


def observe(build: Build, value: str) -> Seen:
    if build.settings.get("offload", "none") != "none":
        return Seen(build.witness.device, "where the denoiser's input was; the weights are offloaded")
    devices = sorted({parameter.device.type for m in build.modules().values() for parameter in m.parameters()})
    return Seen(", ".join(devices), "where the parameters are")


def code(value: str, settings: Settings, pipeline: Pipeline) -> Code:
    """An offload places the weights itself, and on the CPU they are from the start."""
    if value == "cpu" or settings.get("offload", "none") != "none":
        return Code()
    if value == "auto":  # of a preset, which is written for other machines
        return Code(lines='pipe.to("cuda" if torch.cuda.is_available() else "cpu")', imports=("import torch",))
    return Code(lines=f'pipe.to("{value}")')


DEVICE = Toggle(
    name="device",
    phase=Phase.PLACE,
    values="auto | cpu | cuda",
    default="auto",
    parse=parse,
    apply=apply,
    observe=observe,
    cost="rounding",
    missing=missing,
    about="Where the pipeline runs; auto takes a GPU where NVML sees one.\nKernels of other devices round differently.",
    source="docs: torch, 'CUDA semantics'",
    code=code,
)
