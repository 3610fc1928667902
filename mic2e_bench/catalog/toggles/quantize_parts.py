"""Which components are quantised."""

from __future__ import annotations

from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.catalog.toggle import Phase, Seen, Toggle, one_of
from mic2e_bench.catalog.toggles.backends.quantization import PARTS, modules, quantised

DEFAULT = "denoiser"


def apply(build: Build, value: str) -> None:
    """``quantize`` reads it from the build's settings."""


def observe(build: Build, value: str) -> Seen:
    if build.settings["quantize"] == "none":
        reason = "quantize is none, so no part is quantised"
        return Seen(value if value == DEFAULT else "none", reason, applied=value == DEFAULT, reason=reason)
    counts = {part: sum(quantised(m).total() for m in modules(build, part).values()) for part in PARTS["both"]}
    found = tuple(part for part in PARTS["both"] if counts[part])
    seen = next((name for name, parts in PARTS.items() if parts == found), "none")
    return Seen(seen, "quantised layers: " + ", ".join(f"{part} {count}" for part, count in counts.items()))


QUANTIZE_PARTS = Toggle(
    name="quantize_parts",
    phase=Phase.MODIFY,
    values=" | ".join(PARTS),
    default=DEFAULT,
    parse=one_of(*PARTS),
    apply=apply,
    observe=observe,
    cost="real",
    about="Where quantize applies: to the module of every step, to the text encoders that run once, or to both.\n"
    "Text encoders can hold half of the weights (FLUX.1's T5 does) and take little of the time.",
    source="docs: diffusers, 'Quantization: PipelineQuantizationConfig'",
    fits=lambda pipeline: any(name.startswith("text_encoder") for name in pipeline.components),
)
