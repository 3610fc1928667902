"""Query, key and value by one matrix product instead of three."""

from __future__ import annotations

from collections import Counter

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle, on_off


def apply(build: Build, value: bool) -> None:
    if value and hasattr(build.denoiser, "fuse_qkv_projections"):
        build.denoiser.fuse_qkv_projections()


def observe(build: Build, value: bool) -> Seen:
    """Layers that exist, and on UNets the processors that call them."""
    layers = Counter(name.rpartition(".")[2] for name, _ in build.denoiser.named_modules())
    processors = Counter(type(p).__name__ for p in getattr(build.denoiser, "attn_processors", {}).values())
    fused = layers["to_qkv"] + layers["to_kv"]
    how = f"{fused} fused projections; " + ", ".join(f"{name} x{count}" for name, count in processors.items())
    if build.pipeline.family == "unet" and fused and not any("Fused" in name for name in processors):
        return Seen(False, how, reason="the fused projections are there, but another attention processor is in force")
    kind = type(build.denoiser).__name__
    return Seen(fused > 0, how, reason="" if fused else f"{kind} cannot fuse its projections")


def code(value: bool, settings: Settings, pipeline: Pipeline) -> Code | None:
    if not value:
        return Code()
    return Code(lines=f"pipe.{pipeline.denoiser}.fuse_qkv_projections()") if pipeline.fuses_qkv else None


FUSED_QKV = Toggle(
    name="fused_qkv",
    phase=Phase.MODIFY,
    after=("attention",),  # on a UNet it brings a processor of its own, which takes the place of another's
    values="false | true",
    default=False,
    parse=on_off,
    apply=apply,
    observe=observe,
    cost="rounding",
    about="One larger matrix product for query, key and value of an attention layer (cross-attention: key and value).\n"
    "The separate projections are kept as well, so it takes memory.",
    source="docs: diffusers, 'Accelerate inference' (fused projections)",
    fits=lambda pipeline: pipeline.family != "segmenter",
    tolerance=0.02,
    code=code,
)
