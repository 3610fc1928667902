"""The number format of all weights and activations."""

from __future__ import annotations

from collections import Counter

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle, one_of

DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def apply(build: Build, value: str) -> None:
    import torch

    # a dtype object: from a string such as "bf16" diffusers silently makes float32
    build.load["dtype"] = getattr(torch, DTYPES[value])


def cast(build: Build, value: str) -> str:
    """Weights to fewer bits in place; the reason where that cannot give what loading in this precision gives."""
    import torch

    wanted, now = getattr(torch, DTYPES[value]), build.load["dtype"]
    if wanted == now:
        return ""
    if now != torch.float32:
        return f"the weights were loaded in {str(now).removeprefix('torch.')}; load the pipeline with dtype={wanted}"
    for module in build.modules().values():
        kept = set(getattr(module, "_keep_in_fp32_modules_strict", None) or ())
        if wanted == torch.float16 or not type(module).__module__.startswith("transformers."):
            kept |= set(getattr(module, "_keep_in_fp32_modules", None) or ())
        for name, parameter in module.named_parameters():
            if parameter.is_floating_point() and not kept & set(name.split(".")):
                parameter.data = parameter.data.to(wanted)
    build.load["dtype"] = wanted
    return ""


def observe(build: Build, value: str) -> Seen:
    names = {dtype: name for name, dtype in DTYPES.items()}
    counts: Counter = Counter()
    for module in build.modules().values():
        for parameter in module.parameters():
            if parameter.is_floating_point():
                dtype = str(parameter.dtype).removeprefix("torch.")
                counts[names.get(dtype, dtype)] += parameter.numel()
    # weights that quantize stores in float8 are widened for each use; its own receipt tells of them
    full = Counter({name: count for name, count in counts.items() if not name.startswith("float8")})
    seen = full.most_common(1)[0][0]
    how = "parameters: " + ", ".join(f"{name} {count / counts.total():.1%}" for name, count in counts.most_common())
    if build.witness.decoder_dtype:
        how += f"; VAE decoder's input {build.witness.decoder_dtype}"
    return Seen(seen, how)


def code(value: str, settings: Settings, pipeline: Pipeline) -> Code:
    return Code(load=f"dtype=torch.{DTYPES[value]}", imports=("import torch",))


PRECISION = Toggle(
    name="precision",
    phase=Phase.LOAD,
    values="fp32 | fp16 | bf16",
    default="fp32",
    parse=one_of(*DTYPES),
    apply=apply,
    on_live=cast,
    observe=observe,
    cost="rounding",
    about="Weights and activations in 16 instead of 32 bits: half the memory, and fast matrix units on a GPU.\n"
    "bf16 keeps float32's range; fp16 has more digits but overflows above 65504 and is slow on CPUs.",
    source="Speed & Memory Optimization Guide, 1; docs: diffusers, 'Accelerate inference'",
    code=code,
)
