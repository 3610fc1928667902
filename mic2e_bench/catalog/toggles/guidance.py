"""Classifier-free guidance."""

from __future__ import annotations

from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.catalog.toggle import Phase, Seen, Toggle, in_call, number


def apply(build: Build, value: float) -> None:
    build.call["guidance"] = value


def observe(build: Build, value: float) -> Seen:
    batches = sorted({batch for batch, _ in build.witness.denoiser})
    how = f"pipeline's guidance_scale; denoiser batch {', '.join(map(str, batches))}"
    # at the first step: guidance_stop changes it on the way
    seen = (build.witness.guidance or [float(build.pipe.guidance_scale)])[0]
    if value > 0 and getattr(build.denoiser.config, "guidance_embeds", None) is False:
        reason = "this model has no guidance embedding and ignores the value"
        return Seen(0.0, how + "; guidance_embeds is False", applied=False, reason=reason)
    return Seen(seen, how)


GUIDANCE = Toggle(
    name="guidance",
    phase=Phase.CALL,
    values="number from 0 to 50",
    default=0.0,
    parse=number(float, 0, 50),
    apply=apply,
    arguments=lambda value, pipeline: {"guidance_scale": value},
    observe=observe,
    cost="real",
    about="How far the conditioned prediction is pushed from the unconditioned one; it doubles the denoiser's batch.\n"
    "UNet pipelines double it above 1, Z-Image above 0; FLUX.1-schnell has none.",
    source="Speed & Memory Optimization Guide, 4 and 'Disable Guidance'",
    fits=lambda pipeline: pipeline.task != "segmentation",
    code=in_call,
)
