"""How attention is computed."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from mic2e_bench.build import Build
from mic2e_bench.toggle import Phase, Seen, Toggle

SLICED = re.compile(r"sliced(:(auto|max|[1-9]\d*))?")


def parse(value: Any, pipeline: Any) -> str:
    if value in ("native", "math", "xformers"):
        return value
    if isinstance(value, str) and (match := SLICED.fullmatch(value)):
        return f"sliced:{match[2] or 'auto'}"
    raise ValueError("one of native, math, xformers, sliced:auto, sliced:max, sliced:N")


def apply(build: Build, value: str) -> None:
    if value == "math":
        build.around_build.append(_math)
    elif value == "xformers":
        _xformers(build)
    elif value.startswith("sliced"):
        _slice(build, value.partition(":")[2])


def _math() -> Any:
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(SDPBackend.MATH)


def _xformers(build: Build) -> None:
    """xFormers, or where it cannot run the service's fallback, attention slicing; the receipt names it."""
    try:
        if build.pipeline.family == "unet":
            build.pipe.enable_xformers_memory_efficient_attention()
        elif build.pipeline.family == "transformer":
            # the pipeline's own method puts a wrong processor on Z-Image; the dispatcher is honoured by both
            _require_cuda()
            build.denoiser.set_attention_backend("xformers")
        else:
            raise ValueError("transformers' SAM3 has no xFormers attention")
    except (ValueError, ModuleNotFoundError, RuntimeError) as error:
        build.notes["attention"] = " ".join(str(error).split())
        _slice(build, "auto")


def _require_cuda() -> None:
    import torch

    if not torch.cuda.is_available():
        raise ValueError("xFormers needs a CUDA device")


def _slice(build: Build, size: str) -> None:
    if hasattr(build.pipe, "enable_attention_slicing"):
        build.pipe.enable_attention_slicing(size if size in ("auto", "max") else int(size))


def observe(build: Build, value: str) -> Seen:
    """Processor classes on the denoiser, and the kernels that its first call of a trial ran."""
    processors = Counter(type(p).__name__ for p in getattr(build.denoiser, "attn_processors", {}).values())
    kernels = build.witness.attention
    how = "; ".join(f"{name} x{count}" for name, count in [*processors.items(), *sorted(kernels.items())])
    seen = _seen(build, processors, kernels)
    if seen == "sliced":
        sizes = sorted({p.slice_size for p in build.denoiser.attn_processors.values() if hasattr(p, "slice_size")})
        how += f"; slice size {', '.join(map(str, sizes))}"
        seen = value if value in ("sliced:auto", "sliced:max") else f"sliced:{'/'.join(map(str, sizes))}"
    ignored = f"attention slicing does nothing on {type(build.denoiser).__name__}; {seen} is in force"
    fallback = build.notes.get("attention")
    if not fallback:
        return Seen(seen, how, reason=ignored)
    if seen.startswith("sliced"):
        return Seen(
            "sliced:auto", how, applied=False, reason=f"{fallback}; fell back to attention slicing, sliced:auto"
        )
    return Seen(seen, how, applied=False, reason=f"{fallback}; fell back to attention slicing, but {ignored}")


def _seen(build: Build, processors: Counter, kernels: Counter) -> str:
    unfused = {"scaled_dot_product_attention", "_scaled_dot_product_attention_math"}
    fused = sum(count for name, count in kernels.items() if name not in unfused)
    if any("XFormers" in name for name in processors) or any("cutlass" in name for name in kernels):
        return "xformers"
    if any("Sliced" in name for name in processors):
        return "sliced"
    if set(processors) == {"AttnProcessor"} or (_math in build.around_build and kernels and not fused):
        return "math"
    return "native"


ATTENTION = Toggle(
    name="attention",
    phase=Phase.MODIFY,
    values="native | math | xformers | sliced:auto | sliced:max | sliced:N",
    default="native",
    parse=parse,
    apply=apply,
    observe=observe,
    cost="rounding",
    about="native: PyTorch's scaled_dot_product_attention picks a fused kernel; math: the same, unfused.\n"
    "xformers: its own kernel, on CUDA; sliced: N heads at a time, without a fused kernel.",
    source="Speed & Memory Optimization Guide, 6 and 7; Model Optimization Notes, 2 and 3",
)
