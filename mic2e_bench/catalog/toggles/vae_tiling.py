"""The VAE works on overlapping tiles."""

from __future__ import annotations

from typing import Any

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle


def parse(value: Any, pipeline: Any) -> bool | int:
    """``true`` keeps the tile size of the model's configuration."""
    if isinstance(value, bool) or (isinstance(value, int) and 64 <= value <= 4096 and value % 64 == 0):
        return value
    raise ValueError("true, false, or a tile's side in pixels, a multiple of 64 from 64 to 4096")


def apply(build: Build, value: bool | int) -> None:
    if value is False:
        return
    vae = build.pipe.vae  # the pipelines' own enable_vae_tiling no longer exists
    vae.enable_tiling()
    if value is not True:
        scale = 2 ** (len(vae.config.block_out_channels) - 1)
        vae.tile_sample_min_size, vae.tile_latent_min_size = value, value // scale


def observe(build: Build, value: bool | int) -> Seen:
    vae, tiled = build.pipe.vae, build.witness.vae_calls["tiled_decode"]
    how = f"use_tiling {vae.use_tiling}, tiles of {vae.tile_sample_min_size} pixels, {tiled} calls of tiled_decode"
    if value is False or tiled:
        return Seen(vae.use_tiling if isinstance(value, bool) else vae.tile_sample_min_size, how)
    size = "x".join(map(str, (build.witness.sizes or [("nothing",)])[0]))
    reason = f"the VAE cuts only what is larger than its tiles of {vae.tile_sample_min_size} pixels; it decoded {size}"
    return Seen(False, how, applied=False, reason=reason)


def code(value: bool | int, settings: Settings, pipeline: Pipeline) -> Code:
    if value is False:
        return Code()
    lines = ["pipe.vae.enable_tiling()"]
    if value is not True:
        scale = "2 ** (len(pipe.vae.config.block_out_channels) - 1)"
        lines += [f"pipe.vae.tile_sample_min_size = {value}", f"pipe.vae.tile_latent_min_size = {value} // {scale}"]
    return Code(lines="\n".join(lines))


VAE_TILING = Toggle(
    name="vae_tiling",
    phase=Phase.MODIFY,
    values="false | true | tile side in pixels, a multiple of 64",
    default=False,
    parse=parse,
    apply=apply,
    observe=observe,
    cost="real",
    about="The VAE encodes and decodes overlapping tiles and blends them: memory no longer grows with the picture.\n"
    "Only above its tile size, which is 1024 pixels in SDXL's and FLUX's; tiles differ in tone.",
    source="Model Optimization Notes, 4; Speed Optimizations Guide, 5; docs: diffusers, 'AutoencoderKL'",
    fits=lambda pipeline: "vae" in pipeline.components,
    code=code,
)
