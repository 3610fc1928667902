"""The VAE works on one picture of a batch after the other."""

from __future__ import annotations

from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.catalog.toggle import Phase, Seen, Toggle, on_off, unless


def apply(build: Build, value: bool) -> None:
    if value:
        build.pipe.vae.enable_slicing()  # the pipelines' own enable_vae_slicing no longer exists


def observe(build: Build, value: bool) -> Seen:
    witness, vae = build.witness, build.pipe.vae
    decodes, parts = len(witness.sizes), witness.vae_calls["_decode"]
    how = f"use_slicing {vae.use_slicing}; {witness.decoded} images decoded in {decodes} calls, in {parts} parts"
    if value and parts <= decodes:
        return Seen(False, how, applied=False, reason="the VAE slices batches only, and it decoded one image at a time")
    return Seen(vae.use_slicing, how)


VAE_SLICING = Toggle(
    name="vae_slicing",
    phase=Phase.MODIFY,
    values="false | true",
    default=False,
    parse=on_off,
    apply=apply,
    observe=observe,
    cost="none",
    about="The VAE takes the pictures of a batch one by one, so its memory is that of one.\n"
    "With a single picture per call it does nothing.",
    source="Speed Optimizations Guide, 5; docs: diffusers, 'Reduce memory usage'",
    fits=lambda pipeline: "vae" in pipeline.components,
    tolerance=0.02,
    code=unless(False, lines="pipe.vae.enable_slicing()"),
)
