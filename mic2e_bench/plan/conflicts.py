"""Settings that cannot be in force together: one table, read by ``plan`` before anything runs.

Rows that hold for one pipeline only are in its own file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mic2e_bench.catalog.pipeline import Conflict, Pipeline

OWN_PROCESSORS = ("xformers", "sliced", "flash_attn")
HALF_ONLY = ("flash", "cudnn", "flash_attn_2", "flash_attn_3")

CONFLICTS: tuple[Conflict, ...] = (
    Conflict(
        ("attention", "fused_qkv"),
        lambda s, p: p.family == "unet" and s["fused_qkv"] and s["attention"].startswith(OWN_PROCESSORS),
        "on a UNet fused projections bring their own attention processor, which takes the place of this one",
    ),
    Conflict(
        ("attention", "device", "precision"),
        lambda s, p: s["device"] == "cuda" and s["precision"] == "fp32" and s["attention"] in HALF_ONLY,
        "this kernel computes in fp16 and bf16 only",
    ),
    Conflict(
        ("offload", "quantize"),
        lambda s, p: s["offload"] == "sequential" and s["quantize"] == "bnb-nf4",
        "sequential offload empties the scales of 4-bit weights and does not bring them back; use model or group",
    ),
    Conflict(
        ("engine", "compile"),
        lambda s, p: s["engine"] != "torch" and s["compile"] != "none",
        "the engine answers the denoiser's call, so that nothing is left for torch.compile",
    ),
    Conflict(
        ("engine", "precision"),
        lambda s, p: s["engine"].startswith("onnx") and s["precision"] == "bf16",
        "the exported graph's convolutions, and ONNX Runtime on a CPU, have no bf16; use fp32 or fp16",
    ),
    Conflict(
        ("engine", "device"),
        lambda s, p: s["engine"] == "onnxruntime-cpu" and s["device"] == "cuda",
        "the session would compute on the CPU and copy every input and output; use onnxruntime-cuda or device cpu",
    ),
    Conflict(
        ("engine", "quantize"),
        lambda s, p: s["engine"].startswith("onnx") and quantised_denoiser(s),
        "the exporter knows none of the quantised weights' operators",
    ),
    Conflict(
        ("attention", "engine"),
        lambda s, p: s["engine"] != "torch" and not s["attention"].startswith(("native", "sliced")),
        "the engine has attention kernels of its own; native and sliced are exported as they are",
    ),
    Conflict(
        ("engine", "step_cache"),
        lambda s, p: s["engine"] != "torch" and s["step_cache"] != "none",
        "the cache works by hooks on the blocks, which an engine never calls",
    ),
    Conflict(
        ("engine", "offload"),
        lambda s, p: s["engine"] != "torch" and s["offload"] != "none",
        "the engine has its own copy of the weights on the device, and takes the place of the offload's hooks",
    ),
    Conflict(
        ("compile", "compile_fullgraph", "step_cache"),
        lambda s, p: s["compile"] != "none" and s["compile_fullgraph"] and s["step_cache"] != "none",
        "whether a step is skipped is decided in Python, which breaks the graph",
    ),
    Conflict(
        ("compile", "compile_fullgraph", "quantize"),
        lambda s, p: s["compile"] != "none" and s["compile_fullgraph"] and s["quantize"] == "bnb-int8",
        "bitsandbytes' 8-bit product has outputs of a size that depends on the data, which breaks the graph",
    ),
    Conflict(
        ("compile", "device", "step_cache"),
        lambda s, p: keeps_cuda_graphs(s) and s["step_cache"] != "none",
        "the cache keeps outputs of a step, and the next replay of the CUDA graph overwrites them; use default or "
        "regional",
    ),
    Conflict(
        ("compile", "device", "guidance", "guidance_stop", "scheduler"),
        lambda s, p: (
            keeps_cuda_graphs(s)
            and s["scheduler"] == "pndm"
            and (s["guidance_stop"] < 1 or not p.guides(s["guidance"]))
        ),
        "without guidance PNDM keeps the denoiser's own outputs, and the next replay of the CUDA graph overwrites "
        "them; use default or regional",
    ),
    Conflict(
        ("guidance", "guidance_stop"),
        lambda s, p: s["guidance_stop"] < 1 and not p.guides(s["guidance"]),
        "there is no guidance that could be stopped",
    ),
    Conflict(
        ("step_cache",),
        lambda s, p: s["step_cache"] != "none" and p.family == "unet",
        "UNets have no enable_cache, and the hooks that can be put on them by hand find no block",
    ),
)


def keeps_cuda_graphs(settings: Mapping[str, Any]) -> bool:
    """Whether the compiled denoiser is replayed from CUDA graphs, which write each output to the same place."""
    return settings["device"] == "cuda" and settings["compile"] in ("reduce-overhead", "max-autotune")


def quantised_denoiser(settings: Mapping[str, Any]) -> bool:
    """Whether the denoiser's weights, and not the text encoders' alone, are quantised."""
    return settings["quantize"] != "none" and settings.get("quantize_parts") != "text_encoders"


def find(settings: Mapping[str, Any], pipeline: Pipeline) -> str | None:
    """The first reason why these settings cannot be in force together, or ``None``."""
    return next(iter(find_all(settings, pipeline)), None)


def find_all(settings: Mapping[str, Any], pipeline: Pipeline) -> list[str]:
    """Every reason why these settings cannot be in force together."""
    return [
        f"{' + '.join(f'{name} {settings[name]}' for name in row.settings)}: {row.reason}"
        for row in (*pipeline.conflicts, *CONFLICTS)
        if all(name in settings for name in row.settings) and row.clash(settings, pipeline)
    ]
