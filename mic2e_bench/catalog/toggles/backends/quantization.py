"""Quantise the matrix products of a loaded module in place, and read back what a module stores.

In place and after loading, because diffusers' quantisation configs demand a CUDA device for bitsandbytes and quantise
nothing, silently, where a component's name is mistyped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from mic2e_bench.catalog.pipeline import Build

PARTS = {"denoiser": ("denoiser",), "text_encoders": ("text_encoders",), "both": ("denoiser", "text_encoders")}
# what the widths of a layer, in and out, must be multiples of. nf4: blocks of 64 weights within a row, and its CPU
# kernel packs 32 rows; 8-bit products: what cuBLAS takes. On every device, so that the same layers are quantised.
METHODS = {
    "bnb-int8": (1, 1),
    "bnb-nf4": (64, 32),
    "torchao-int8wo": (1, 1),
    "torchao-int8dyn": (8, 8),
    "torchao-fp8wo": (1, 1),
    "torchao-fp8dyn": (16, 16),
    "fp8-layerwise": (1, 1),
}
# widths a method cannot take: torchao 0.16 reads the one scale of a 128 x 128 weight as a scale of blocks, and raises
MISREAD = {"torchao-fp8dyn": (128, 128)}
# layers whose weights' dtype T5 and SAM3 cast their activations to: it must stay a dtype to compute in
KEPT = {"bnb-nf4": ("wo",), "fp8-layerwise": ("wo", "proj1")}


def asked_parts(build: Build) -> tuple[str, ...]:
    """The parts that ``quantize_parts`` names; a pipeline without text encoders has no such setting."""
    return PARTS[build.settings.get("quantize_parts", "denoiser")]


def modules(build: Build, part: str) -> dict[str, Any]:
    """The live modules of a part, by component name."""
    if part == "denoiser":
        return {build.pipeline.denoiser: build.denoiser}
    return {name: module for name, module in build.modules().items() if name.startswith("text_encoder")}


def quantise(module: Any, method: str, dtype: Any, device: str) -> None:
    """Quantise all Linear layers of ``module`` that the method can (for ``fp8-layerwise`` convolutions as well)."""
    if method == "fp8-layerwise":
        _cast_layerwise(module, dtype)
    elif method.startswith("torchao"):
        from torchao.quantization import quantize_

        chosen = {id(layer) for _, _, layer in _suitable(module, method)}
        quantize_(module, _torchao_config(method), filter_fn=lambda layer, name: id(layer) in chosen)
    else:
        for parent, name, layer in list(_suitable(module, method)):
            setattr(parent, name, _bitsandbytes_layer(layer, method, dtype, device))


def _suitable(module: Any, method: str) -> Iterator[tuple[Any, str, Any]]:
    """Parent, name and layer of what can be quantised."""
    from torch import nn

    multiple_in, multiple_out = METHODS[method]
    for parent in module.modules():
        for name, layer in parent.named_children():
            if type(layer) is not nn.Linear or name in KEPT.get(method, ()):
                continue
            if (layer.in_features, layer.out_features) == MISREAD.get(method):
                continue
            if layer.in_features % multiple_in == 0 and layer.out_features % multiple_out == 0:
                yield parent, name, layer


def _bitsandbytes_layer(layer: Any, method: str, dtype: Any, device: str) -> Any:
    """The quantised stand-in of a Linear layer, quantised on ``device``."""
    from bitsandbytes import nn as bnb

    from mic2e_bench.catalog.toggles.backends.bnb_linear import Linear8bit

    arguments = {"bias": layer.bias is not None, "device": "meta"}
    widths = layer.in_features, layer.out_features
    if method == "bnb-int8":
        made = Linear8bit(*widths, **arguments, has_fp16_weights=False, threshold=6.0)  # LLM.int8()'s threshold
        made.weight = bnb.Int8Params(layer.weight.data, requires_grad=False, has_fp16_weights=False)
    else:
        made = bnb.Linear4bit(*widths, **arguments, quant_type="nf4", compute_dtype=dtype)
        made.weight = bnb.Params4bit(layer.weight.data, requires_grad=False, quant_type="nf4", module=made)
    made.bias = layer.bias
    return made.to(device).requires_grad_(False).eval()


def _torchao_config(method: str) -> Any:
    from torchao import quantization

    quiet = {"set_inductor_config": False}  # it would turn TF32 on for the whole process
    if method == "torchao-int8wo":
        return quantization.Int8WeightOnlyConfig(version=2, **quiet)  # version 1, still the default, is deprecated
    if method == "torchao-int8dyn":
        return quantization.Int8DynamicActivationInt8WeightConfig(version=2, **quiet)
    if method == "torchao-fp8wo":
        return quantization.Float8WeightOnlyConfig(**quiet)
    return quantization.Float8DynamicActivationFloat8WeightConfig(**quiet)


def _cast_layerwise(module: Any, dtype: Any) -> None:
    import torch
    from diffusers.hooks import apply_layerwise_casting

    if hasattr(module, "enable_layerwise_casting"):  # diffusers' models know which of their layers are sensitive
        module.enable_layerwise_casting(torch.float8_e4m3fn, dtype)
        return
    skipped = ("norm", "embed", *(rf"\.{name}$" for name in KEPT["fp8-layerwise"]))
    apply_layerwise_casting(module, torch.float8_e4m3fn, dtype, skipped, skip_modules_classes=(torch.nn.Embedding,))


def quantised(module: Any) -> Counter:
    """Layers by (method, dtype that is stored)."""
    return Counter(found for layer in module.modules() if (found := _stored(layer)))


def unquantised(module: Any) -> Counter:
    """Linear layers that are not quantised, by their widths in and out."""
    from torch import nn

    plain = (layer for layer in module.modules() if isinstance(layer, nn.Linear) and not _stored(layer))
    return Counter((layer.in_features, layer.out_features) for layer in plain)


def _stored(layer: Any) -> tuple[str, str] | None:
    """Method and stored dtype of one layer, from its tensors; ``None`` where it is not quantised."""
    weight = getattr(layer, "_parameters", {}).get("weight")
    if weight is None:
        return None
    kind, dtype = type(weight).__name__, str(weight.dtype).removeprefix("torch.")
    if kind == "Int8Params" and dtype == "int8":
        return "bnb-int8", dtype
    if kind == "Params4bit" and weight.bnb_quantized:
        return f"bnb-{weight.quant_type}", dtype
    if type(weight).__module__.startswith("torchao"):
        stored = str(weight.qdata.dtype).removeprefix("torch.")
        bits = "int8" if stored == "int8" else "fp8"
        return f"torchao-{bits}{'wo' if weight.act_quant_kwargs is None else 'dyn'}", stored
    return ("fp8-layerwise", dtype) if dtype.startswith("float8") else None
