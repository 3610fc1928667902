"""Bytes that a module's tensors are stored in: by precision, and by layer where they are quantised."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.catalog.toggles.backends import quantization
from mic2e_bench.tools.fit.elsewhere import FLAT_NF4

BLOCK = 64  # weights of one scale in nf4, as quantization.METHODS wants them
NESTED = 256  # scales of one scale of scales
CODES = (16 * 4, 256 * 4)  # the tables of nf4 itself and of its 8-bit scales, float32


def quantised_layers(
    pipeline: Pipeline, modules: Mapping[str, nn.Module], settings: Mapping[str, Any], dtype: Any
) -> dict[nn.Module, str]:
    """The layers that ``quantize`` would store in fewer bits, with the method. ``modules`` are on the meta device."""
    method = settings.get("quantize", "none")
    if method == "none":
        return {}
    parts = quantization.PARTS[settings.get("quantize_parts", "denoiser")]
    chosen = [
        module
        for name, module in modules.items()
        if ("denoiser" in parts and name == pipeline.denoiser)
        or ("text_encoders" in parts and name.startswith("text_encoder"))
    ]
    if method == "fp8-layerwise":
        return {layer: method for module in chosen for layer in _cast(module, dtype)}
    return {layer: method for module in chosen for _, _, layer in quantization._suitable(module, method)}


def _cast(module: nn.Module, dtype: Any) -> Iterator[nn.Module]:
    """The layers that layerwise casting takes, found by doing it to a copy: on the meta device that costs nothing."""
    twin = copy.deepcopy(module)
    quantization.quantise(twin, "fp8-layerwise", dtype, "meta")
    for name, layer in twin.named_modules():
        weight = layer._parameters.get("weight")
        if weight is not None and weight.dtype.itemsize == 1:
            yield module.get_submodule(name)


def tensors(module: nn.Module, quantised: Mapping[nn.Module, str]) -> list[int]:
    """Bytes of every tensor that a module stores, a shared one once; of quantised layers what takes its place."""
    seen: set[int] = set()
    return [size for layer in module.modules() for size in own(layer, quantised, seen)]


def own(layer: nn.Module, quantised: Mapping[nn.Module, str], seen: set[int] | None = None) -> list[int]:
    """The same for the tensors of one layer alone, without those in ``seen``, which they join."""
    seen = set() if seen is None else seen
    method, sizes = quantised.get(layer), []
    for name, tensor in (*layer._parameters.items(), *layer._buffers.items()):
        if tensor is None or id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if method and (name == "weight" or method == "fp8-layerwise"):
            sizes += _layer(tensor, method)
        else:
            sizes.append(tensor.numel() * tensor.element_size())
    return sizes


def _layer(weight: Any, method: str) -> list[int]:
    """Bytes of what a quantised weight of shape (out, in) is stored in: the weight, then its scales."""
    count, rows, width = weight.numel(), weight.shape[0], weight.element_size()
    if method == "bnb-nf4":
        scales = math.ceil(count / BLOCK)
        return [math.ceil(count / 2), scales, math.ceil(scales / NESTED) * 4, *CODES]
    if method == FLAT_NF4:
        return [math.ceil(count / 2), math.ceil(count / BLOCK) * 4, CODES[0]]
    if method == "bnb-int8":
        return [count, rows * 4]
    if method == "fp8-layerwise":
        return [count]
    scale = 4 if method.startswith("torchao-fp8") else width
    return [count, rows * scale]


def weights_bytes(modules: Mapping[str, nn.Module], quantised: Mapping[nn.Module, str]) -> dict[str, int]:
    """Bytes by component."""
    return {name: sum(tensors(module, quantised)) for name, module in modules.items()}
