"""The sampler that turns the denoiser's predictions into steps."""

from __future__ import annotations

from typing import Any

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle, one_of

# by family of pipeline: the class and what its configuration changes beside what the model brings
SCHEDULERS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "unet": {
        # latents are no pictures: clipping them, these classes' default, ruins the image
        "ddim": ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False}),
        "euler": ("EulerDiscreteScheduler", {}),
        "dpm++2m": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 2}),
        "dpm++2m-karras": (
            "DPMSolverMultistepScheduler",
            {"algorithm_type": "dpmsolver++", "solver_order": 2, "use_karras_sigmas": True},
        ),
        "unipc": ("UniPCMultistepScheduler", {}),
        "deis": ("DEISMultistepScheduler", {}),
        "lms": ("LMSDiscreteScheduler", {}),
        "lcm": ("LCMScheduler", {}),
        "tcd": ("TCDScheduler", {}),
        "heun": ("HeunDiscreteScheduler", {}),
        "pndm": ("PNDMScheduler", {}),
    },
    "transformer": {
        "flow-euler": ("FlowMatchEulerDiscreteScheduler", {}),
        # Heun and DPM++ for flow matching refuse the pipelines' own noise levels; LCM draws noise without their seed
        "flow-unipc": ("UniPCMultistepScheduler", {"prediction_type": "flow_prediction", "use_flow_sigmas": True}),
    },
}


def parse(value: Any, pipeline: Pipeline) -> str:
    return one_of("default", *SCHEDULERS[pipeline.family])(value, pipeline)


def apply(build: Build, value: str) -> None:
    """A fresh scheduler with the configuration that the model brought; a scheduler keeps nothing from call to call."""
    import diffusers

    original = build.notes.setdefault("scheduler", build.pipe.scheduler)
    if value == "default":
        build.pipe.scheduler = original
        return
    name, changes = SCHEDULERS[build.pipeline.family][value]
    build.pipe.scheduler = getattr(diffusers, name).from_config(original.config, **changes)


def observe(build: Build, value: str) -> Seen:
    live, calls = build.pipe.scheduler, len(build.witness.denoiser)
    name = type(live).__name__
    how = f"{name}, {len(live.timesteps)} timesteps, {calls} denoiser calls"
    if value == "default":
        return Seen("default", how, applied=live is build.notes["scheduler"])
    wanted, changes = SCHEDULERS[build.pipeline.family][value]
    same = name == wanted and all(live.config.get(key) == change for key, change in changes.items())
    return Seen(value if same else name, how)


def code(value: str, settings: Settings, pipeline: Pipeline) -> Code:
    if value == "default":
        return Code()
    name, changes = SCHEDULERS[pipeline.family][value]
    arguments = "".join(f", {key}={change!r}" for key, change in changes.items())
    lines = f"pipe.scheduler = {name}.from_config(pipe.scheduler.config{arguments})"
    return Code(lines=lines, imports=(f"from diffusers import {name}",))


SCHEDULER = Toggle(
    name="scheduler",
    phase=Phase.CALL,
    values="default | " + "; ".join(f"{family} pipelines: {' | '.join(known)}" for family, known in SCHEDULERS.items()),
    default="default",
    parse=parse,
    apply=apply,
    observe=observe,
    cost="real",
    about="How the denoiser's predictions become steps: higher orders need fewer steps for the same picture.\n"
    "Heun and PNDM call the denoiser more often than there are steps; the receipt counts the calls.",
    source="docs: diffusers, 'Schedulers'",
    fits=lambda pipeline: pipeline.task != "segmentation",
    code=code,
)
