"""What SAM3 is asked with."""

from __future__ import annotations

from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.catalog.toggle import Phase, Seen, Toggle, in_call, one_of


def apply(build: Build, value: str) -> None:
    build.load["prompt_kind"] = value


def observe(build: Build, value: str) -> Seen:
    return Seen(build.pipe.prompt_kind, f"{type(build.denoiser).__name__} answered")


PROMPT_KIND = Toggle(
    name="prompt_kind",
    phase=Phase.LOAD,
    values="text | points | box",
    default="text",
    parse=one_of("text", "points", "box"),
    apply=apply,
    observe=observe,
    cost="real",
    about="A phrase goes to Sam3Model, points and a box to Sam3TrackerModel.\nOnly the model that answers is loaded.",
    source="the service's SAM3 wiring; docs: transformers, 'SAM3'",
    fits=lambda pipeline: pipeline.task == "segmentation",
    code=in_call,
)
