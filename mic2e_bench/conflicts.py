"""Settings that cannot be in force together: one table, read by ``plan`` before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mic2e_bench.pipeline import Pipeline


@dataclass(frozen=True)
class Conflict:
    """A row: the settings it speaks of, a test over the resolved settings and the pipeline, and the reason."""

    settings: tuple[str, ...]
    clash: Callable[[Mapping[str, Any], Pipeline], bool]
    reason: str


OWN_PROCESSORS = ("xformers", "sliced", "flash_attn")
HALF_ONLY = ("flash", "cudnn", "flash_attn_2", "flash_attn_3")

CONFLICTS: tuple[Conflict, ...] = (
    Conflict(
        ("attention",),
        lambda s, p: p.family == "segmenter" and s["attention"].startswith("sliced"),
        "transformers' SAM3 has no attention slicing; use native or math",
    ),
    Conflict(
        ("attention", "fused_qkv"),
        lambda s, p: p.family == "unet" and s["fused_qkv"] and s["attention"].startswith(OWN_PROCESSORS),
        "on a UNet fused projections bring their own attention processor, which takes the place of this one",
    ),
    Conflict(
        ("attention", "device", "precision"),
        lambda s, p: s["device"] == "cuda" and s["precision"] == "fp32" and s["attention"] in HALF_ONLY,
        "this kernel computes in fp16 and bf16 only",
    ),
    Conflict(
        ("offload", "quantize"),
        lambda s, p: s["offload"] == "sequential" and s["quantize"] == "bnb-nf4",
        "sequential offload empties the scales of 4-bit weights and does not bring them back; use model or group",
    ),
)


def find(settings: Mapping[str, Any], pipeline: Pipeline) -> str | None:
    """The reason why these settings cannot be in force together, or ``None``."""
    for row in CONFLICTS:
        if all(name in settings for name in row.settings) and row.clash(settings, pipeline):
            return f"{' + '.join(f'{name} {settings[name]}' for name in row.settings)}: {row.reason}"
    return None
