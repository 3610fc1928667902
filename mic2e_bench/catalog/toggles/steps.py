"""The number of denoising steps."""

from __future__ import annotations

from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.catalog.toggle import Phase, Seen, Toggle, in_call, number


def apply(build: Build, value: int) -> None:
    build.call["steps"] = value


def observe(build: Build, value: int) -> Seen:
    """The ends of steps. Heun and PNDM have more of them than steps; then the scheduler's own count is read."""
    ends, scheduler = build.witness.steps, build.pipe.scheduler
    how = f"{ends} ends of steps counted; {len(build.witness.denoiser)} denoiser calls"
    whole = ends == len(scheduler.timesteps)
    return Seen(scheduler.num_inference_steps if whole else ends, how)


STEPS = Toggle(
    name="steps",
    phase=Phase.CALL,
    values="whole number from 1 to 1000",
    default=20,
    parse=number(int, 1, 1000),
    apply=apply,
    arguments=lambda value, pipeline: {"num_inference_steps": value},
    observe=observe,
    cost="real",
    about="Denoising steps: latency is nearly proportional to them.\n"
    "Fewer steps leave structure and texture unfinished.",
    source="Speed & Memory Optimization Guide, 2; Performance Comparison",
    fits=lambda pipeline: pipeline.task != "segmentation",
    code=in_call,
)
