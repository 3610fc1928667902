"""How attention is computed."""

from __future__ import annotations

import importlib.util
import json
import re
from collections import Counter
from typing import Any

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle
from mic2e_bench.catalog.toggles.backends.attention import KERNELS, PACKAGES, SERVICE, arranged, put

SLICED = re.compile(r"sliced(:(auto|max|[1-9][0-9]{0,5}))?")
PLAIN = ("native", *KERNELS, "xformers", SERVICE, *PACKAGES)
CALL = "scaled_dot_product_attention"


def parse(value: Any, pipeline: Any) -> str:
    if value in PLAIN:
        return value
    if isinstance(value, str) and (match := SLICED.fullmatch(value)):
        return f"sliced:{match[2] or 'auto'}"
    raise ValueError(f"one of {', '.join(PLAIN)}, sliced:auto, sliced:max, sliced:N")


def missing(value: str, device: str) -> str:
    if value in ("efficient", "cudnn", *PACKAGES) and device != "cuda":
        return f"this kernel exists for CUDA devices only; the device is {device}"
    if value in PACKAGES and importlib.util.find_spec(PACKAGES[value][0]) is None:
        return f"the package {PACKAGES[value][0]} is not installed ({PACKAGES[value][3]})"
    return ""


def observe(build: Build, value: str) -> Seen:
    """Processors of denoiser and VAE, and the kernels that the denoiser's first call of a trial ran."""
    processors, kernels = _processors(build.denoiser), build.witness.attention
    how = "; ".join(f"{name} x{count}" for name, count in [*processors.items(), *sorted(kernels.items())])
    decoder = _processors(getattr(build.pipe, "vae", None))
    how += "".join(f"; VAE: {name} x{count}" for name, count in decoder.items())
    if arranged(build):
        how += f"; sdpa_kernel prefers {arranged(build)}" + ("" if kernels else ", no kernel could be counted")
    seen = _seen(build, processors)
    if seen == "sliced":
        sizes = sorted({p.slice_size for p in build.denoiser.attn_processors.values() if hasattr(p, "slice_size")})
        how += f"; slice size {', '.join(map(str, sizes))}"
        seen = value if value in ("sliced:auto", "sliced:max") else f"sliced:{'/'.join(map(str, sizes))}"
    if fallback := build.notes.get("attention"):
        return _fell_back(build, value, seen, how, fallback)
    if value == SERVICE:
        return Seen(seen, how, applied=seen == "xformers")
    if seen == value and (reason := _partly(build, value)):
        return Seen(seen, how, applied=False, reason=reason)
    return Seen(seen, how, reason=_no_slices(build, seen) if value.startswith("sliced") else "")


def _fell_back(build: Build, value: str, seen: str, how: str, fallback: str) -> Seen:
    if seen.startswith("sliced"):
        reason = f"{fallback}; fell back to attention slicing, sliced:auto"
        # who asks for one or the other has what was asked for, and the receipt says which
        return Seen("sliced:auto", f"{how}; {reason}", applied=value == SERVICE, reason=reason)
    reason = f"{fallback}; fell back to attention slicing, but {_no_slices(build, seen)}"
    return Seen(seen, how, applied=False, reason=reason)


def _no_slices(build: Build, seen: str) -> str:
    if build.pipeline.family == "unet":
        return f"{seen} was put in force after the slicing"
    return f"attention slicing does nothing on {type(build.denoiser).__name__}; {seen} is in force"


def _processors(module: Any) -> Counter:
    return Counter(type(p).__name__ for p in getattr(module, "attn_processors", {}).values())


def _seen(build: Build, processors: Counter) -> str:
    """The attention in force: by processors that bring their own, then by kernels."""
    kernels, preferred = build.witness.attention, arranged(build)
    if any("XFormers" in name for name in processors) or any(map(_is_xformers, kernels)):
        return "xformers"
    if any("Sliced" in name for name in processors):
        return "sliced"
    for package in PACKAGES:
        if _package_calls(build, package):
            return package
    fused = any(_kernel_calls(kernels, name) for name in KERNELS if name != "math")
    if set(processors) == {"AttnProcessor"} or (preferred and not fused and (kernels or preferred == "math")):
        return "math"
    return preferred if preferred and (_kernel_calls(kernels, preferred) or not kernels) else "native"


def _is_xformers(kernel: str) -> bool:
    """xFormers' own operators, and the one of PyTorch that it calls directly."""
    return "xformers" in kernel or kernel == "_efficient_attention_forward"


def _kernel_calls(kernels: Counter, value: str) -> int:
    return sum(count for name, count in kernels.items() if name.startswith(KERNELS[value][1]))


def _package_calls(build: Build, value: str) -> int:
    """Calls of a FlashAttention package: counted by our processor, or as operators that the package registers."""
    own = {id(p): p for p in getattr(build.denoiser, "attn_processors", {}).values() if hasattr(p, "fell_back")}
    counted = sum(processor.ran for processor in own.values() if processor.value == value)
    prefixes = ("flash_attn_3", "_diffusers_flash_attn_3") if value == "flash_attn_3" else ("flash_attn::",)
    return counted + sum(count for name, count in build.witness.attention.items() if name.startswith(prefixes))


def _partly(build: Build, value: str) -> str:
    """Why only some calls of the denoiser have the asked kernel, or an empty text."""
    kernels = build.witness.attention
    if value in KERNELS and value != "math" and (ran := _kernel_calls(kernels, value)) < kernels[CALL]:
        return f"{ran} of {kernels[CALL]} attention calls ran this kernel; the others cannot and ran another"
    if value in PACKAGES and kernels[CALL]:
        return f"{kernels[CALL]} attention calls cannot have it (mask, width or dtype) and went to PyTorch"
    return ""


def code(value: str, settings: Settings, pipeline: Pipeline) -> Code | None:
    """Other kernels than PyTorch's have no plain form on every pipeline."""
    if value == "native":
        return Code()
    if value.startswith("sliced"):
        return Code(lines=slicing(value.partition(":")[2]))
    if value in KERNELS:
        return kernel_code(value)
    if value in ("xformers", SERVICE) and pipeline.family == "unet":
        return Code(lines=XFORMERS.format(slicing=slicing("auto")))
    return None


XFORMERS = """try:
    pipe.enable_xformers_memory_efficient_attention()
except (ValueError, ModuleNotFoundError, RuntimeError):  # where it cannot run, as the service does
    {slicing}"""


def slicing(size: str) -> str:
    return f"pipe.enable_attention_slicing({size if size.isdigit() else json.dumps(size)})"


def kernel_code(value: str) -> Code:
    """``attention.kernel`` in writing: one kernel first, the others where it cannot."""
    imports = ("from torch.nn.attention import SDPBackend, sdpa_kernel",)
    if value == "math":
        return Code(around="sdpa_kernel(SDPBackend.MATH)", imports=imports)
    names = [KERNELS[value][0], *(name for other, (name, _) in KERNELS.items() if other not in (value, "math")), "MATH"]
    lines = ["kernels = [", *(f"    SDPBackend.{name}," for name in names), "]"]
    return Code(lines="\n".join(lines), around="sdpa_kernel(kernels, set_priority=True)", imports=imports)


ATTENTION = Toggle(
    name="attention",
    phase=Phase.MODIFY,
    values=" | ".join((*PLAIN, "sliced:auto", "sliced:max", "sliced:N")),
    default="native",
    parse=parse,
    apply=put,
    observe=observe,
    cost="rounding",
    about="native: PyTorch picks; math, efficient, flash, cudnn: its kernel of that name; flash_attn_*: the packages.\n"
    "xformers: its own kernel, on CUDA; sliced: N heads at a time; xformers-else-sliced: what the service does.",
    source="Speed & Memory Optimization Guide, 6 and 7; Model Optimization Notes, 2; Speed Optimizations Guide, 3",
    missing=missing,
    tolerance=0.02,
    code=code,
)
