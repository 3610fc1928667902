"""The ways to compute attention, and putting one in force on a loaded pipeline."""

from __future__ import annotations

import functools
from typing import Any

from mic2e_bench.catalog.pipeline import Build

# PyTorch's kernels behind scaled_dot_product_attention: name in SDPBackend, operator that the witness counts
KERNELS = {
    "math": ("MATH", "_scaled_dot_product_attention_math"),
    "efficient": ("EFFICIENT_ATTENTION", "_scaled_dot_product_efficient_attention"),
    "flash": ("FLASH_ATTENTION", "_scaled_dot_product_flash_attention"),
    "cudnn": ("CUDNN_ATTENTION", "_scaled_dot_product_cudnn_attention"),
}
# FlashAttention's packages: module, name in diffusers' dispatcher, name in transformers, how to get it
PACKAGES = {
    "flash_attn_2": ("flash_attn", "flash", "flash_attention_2", "uv pip install flash-attn"),
    "flash_attn_3": ("flash_attn_interface", "_flash_3", "flash_attention_3", "built from source, for Hopper"),
}

SERVICE = "xformers-else-sliced"  # what the service does: xFormers, or attention slicing where it cannot run


def put(build: Build, value: str) -> None:
    """Put this way of computing attention in force."""
    if value in KERNELS:
        build.around_build.append(functools.partial(kernel, value))
    elif value in PACKAGES:
        package(build, value)
    elif value in ("xformers", SERVICE):
        xformers(build)
    elif value.startswith("sliced"):
        slice_heads(build, value.partition(":")[2])


def arranged(build: Build) -> str:
    """The kernel of PyTorch that calls of this build prefer; empty where it is left to PyTorch."""
    found = [manager.args[0] for manager in build.around_build if getattr(manager, "func", None) is kernel]
    return found[-1] if found else ""


def kernel(value: str) -> Any:
    """One kernel first. The others stay allowed, since no fused one takes every mask, width and dtype of a pipeline."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    if value == "math":
        return sdpa_kernel(SDPBackend.MATH)
    names = [KERNELS[value][0], *(name for other, (name, _) in KERNELS.items() if other not in (value, "math")), "MATH"]
    return sdpa_kernel([getattr(SDPBackend, name) for name in names], set_priority=True)


def package(build: Build, value: str) -> None:
    """FlashAttention of the package, in the denoiser."""
    _, dispatched, transformers_name, _ = PACKAGES[value]
    if build.pipeline.family == "transformer":
        build.denoiser.set_attention_backend(dispatched)
    elif build.pipeline.family == "segmenter":
        build.denoiser.set_attn_implementation(transformers_name)
    else:  # on a UNet the dispatcher changes nothing but the process-wide default
        from mic2e_bench.catalog.toggles.backends.flash_attention import FlashProcessor

        build.denoiser.set_attn_processor(FlashProcessor(value))


def xformers(build: Build) -> None:
    """xFormers, or where it cannot run the service's fallback, attention slicing; the receipt names it."""
    import torch

    try:
        if build.pipeline.family == "unet":
            build.pipe.enable_xformers_memory_efficient_attention()
        elif build.pipeline.family == "transformer":
            # the pipeline's own method puts a wrong processor on Z-Image; the dispatcher is honoured by both
            if not torch.cuda.is_available():
                raise ValueError("xFormers needs a CUDA device")
            _try_xformers()  # the dispatcher would not notice before the first call, half-way through it
            build.denoiser.set_attention_backend("xformers")
        else:
            raise ValueError("transformers' SAM3 has no xFormers attention")
    except (ValueError, ModuleNotFoundError, RuntimeError) as error:
        build.notes["attention"] = " ".join(str(error).split())
        slice_heads(build, "auto")


def _try_xformers() -> None:
    """Raises ``NotImplementedError``, a ``RuntimeError``, where xFormers has no kernel for this torch and device."""
    import torch
    import xformers.ops

    one = torch.zeros(1, 32, 1, 32, device="cuda", dtype=torch.float16)
    xformers.ops.memory_efficient_attention(one, one, one)


def slice_heads(build: Build, size: str) -> None:
    """Some heads at a time, where the pipeline has it."""
    if hasattr(build.pipe, "enable_attention_slicing"):
        build.pipe.enable_attention_slicing(size if size in ("auto", "max") else int(size))
