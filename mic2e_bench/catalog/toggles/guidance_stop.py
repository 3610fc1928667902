"""Guidance for the first part of the steps only."""

from __future__ import annotations

import math
from typing import Any

from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.catalog.toggle import Phase, Seen, Toggle

# what the pipelines hold once for the unconditional and once for the conditional half
DOUBLED = ("prompt_embeds", "add_text_embeds", "add_time_ids", "mask", "masked_image_latents")


def parse(value: Any, pipeline: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise ValueError("a share of the steps above 0 and at most 1 (1: guidance to the end)")
    return float(value)


def apply(build: Build, value: float) -> None:
    if value == 1:
        return

    def stop(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        guided = getattr(pipe, "do_classifier_free_guidance", False)  # FLUX never is
        if not guided or step + 1 != guided_steps(value, pipe.num_timesteps):
            return tensors
        pipe._guidance_scale = 0.0
        images = len(tensors["latents"])
        halves = {name: t[-images:] for name, t in tensors.items() if name in DOUBLED and len(t) == 2 * images}
        return {**tensors, **halves}  # the conditional half is the second

    build.on_step.append(stop)
    build.step_tensors += DOUBLED


def guided_steps(share: float, steps: int) -> int:
    """How many of the steps have guidance: at least one."""
    return max(1, math.ceil(share * steps - 1e-9))


def observe(build: Build, value: float) -> Seen:
    """The batches that the denoiser saw: twice as large with guidance."""
    batches = [batch for batch, _ in build.witness.denoiser]
    doubled = 2 * build.witness.decoded
    guided = sum(batch == doubled for batch in batches)
    how = f"{guided} of {len(batches)} denoiser calls had the doubled batch of guidance ({doubled})"
    if not guided:
        return Seen("off", how, applied=value == 1, reason="guidance was off from the first step")
    steps = len(build.witness.guidance)
    expected = guided_steps(value, steps)
    # some schedulers call the denoiser more often than once a step in their first steps; in the end they agree
    seen = value if guided == expected or (value == 1 and guided == len(batches)) else guided / len(batches)
    return Seen(seen, how)


GUIDANCE_STOP = Toggle(
    name="guidance_stop",
    phase=Phase.CALL,
    values="share of the steps, above 0 to 1",
    default=1.0,
    parse=parse,
    apply=apply,
    observe=observe,
    cost="real",
    about="After this share of the steps guidance is off, so that the denoiser sees half the batch in the rest.\n"
    "The early steps decide the structure, where guidance does most.",
    source="Speed & Memory Optimization Guide, 'Disable Guidance'; docs: diffusers, 'Pipeline callbacks'",
    fits=lambda pipeline: pipeline.task != "segmentation",
)
