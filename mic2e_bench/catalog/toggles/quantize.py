"""Weights in 8 or 4 bits."""

from __future__ import annotations

import importlib.util

from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.catalog.toggle import Phase, Seen, Toggle, one_of
from mic2e_bench.catalog.toggles.backends.quantization import (
    METHODS,
    asked_parts,
    modules,
    quantise,
    quantised,
    unquantised,
)
from mic2e_bench.errors import Unavailable

PACKAGES = {"bnb": ("bitsandbytes", "bitsandbytes"), "torchao": ("torchao", "'mic2e-bench[quant]'")}


def missing(value: str, device: str) -> str:
    package, wanted = PACKAGES.get(value.partition("-")[0], ("", ""))
    if package and importlib.util.find_spec(package) is None:
        return f"the package {package} is not installed (uv pip install {wanted})"
    if value == "torchao-fp8dyn" and device != "cuda":
        return f"float8 matrix products need a CUDA device of compute capability 8.9; the device is {device}"
    return ""


def apply(build: Build, value: str) -> None:
    import torch

    if value == "torchao-fp8dyn" and torch.cuda.get_device_capability() < (8, 9):
        raise Unavailable(f"quantize {value}: {torch.cuda.get_device_name()} has no float8 matrix units")
    for part in asked_parts(build) if value != "none" else ():
        for module in modules(build, part).values():
            quantise(module, value, build.load["dtype"], build.device)


def observe(build: Build, value: str) -> Seen:
    """Count the layers whose stored tensors are quantised; the dtypes that libraries report are not to be trusted."""
    kinds, texts = set(), []
    for part in asked_parts(build):
        for name, module in modules(build, part).items():
            found, left = quantised(module), unquantised(module)
            kinds |= {kind for kind, _ in found}
            texts += [f"{name}: {n} layers {kind} stored as {dtype}" for (kind, dtype), n in found.items()]
            texts += [f"{name}: {left.total()} Linear layers in full ({_widths(left)})"] if left and found else []
    seen = " and ".join(sorted(kinds)) or "none"
    return Seen(seen, "; ".join(texts) or "no quantised layer")


def _widths(left: dict[tuple[int, int], int]) -> str:
    return ", ".join(f"{width_in} to {width_out} x{count}" for (width_in, width_out), count in sorted(left.items())[:4])


QUANTIZE = Toggle(
    name="quantize",
    phase=Phase.MODIFY,
    after=("fused_qkv",),  # which makes new layers of the weights in full
    values=" | ".join(("none", *METHODS)),
    default="none",
    parse=one_of("none", *METHODS),
    apply=apply,
    observe=observe,
    cost="real",
    about="Weights of matrix products in 8 or 4 bits: wo widens them at use, dyn and bnb-int8 multiply in 8 bits.\n"
    "It saves memory; it saves time only where weights or 8-bit units are the bottleneck.",
    source="Speed & Memory Optimization Guide, 'Ultra-Aggressive' 3; Optimization Summary, 'Further' 2",
    missing=missing,
)
