"""Where the time of a call goes, from the one that had a witness; they add up to it, and its own cost is known."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.metric import Metric
from mic2e_bench.catalog.metrics.latency import quartiles

if TYPE_CHECKING:
    from mic2e_bench.records.record import Record


@functools.cache
def part(component: str) -> str:
    """The metric in which the seconds of a component are."""
    if component.startswith("text_encoder"):
        return "text_encoder_s"
    if component in {pipeline.denoiser for pipeline in registry.pipelines().values()}:
        return "denoiser_s"
    return {"vae.encode": "vae_encode_s", "vae.decode": "vae_decode_s"}.get(component, "image_encoder_s")


def _seconds(metric: str) -> Callable[[Record], float | None]:
    """The seconds of the components of a metric; ``None`` where the record has none of them."""

    def of_record(record: Record) -> float | None:
        there = [sum(found) for name, found in record.component_s.items() if part(name) == metric]
        return sum(there) if there else None

    return of_record


def rest(record: Record) -> float | None:
    """Seconds of the witnessed call in no component: reading and resizing, noise, scheduler, making the image."""
    return None if record.witnessed_s is None else record.witnessed_s - sum(map(sum, record.component_s.values()))


def hooks_cost(record: Record) -> float | None:
    """Seconds of the witnessed call over the median of the timed ones: 1 where watching costs nothing."""
    whole, samples = record.witnessed_s, record.latency_s
    return None if whole is None or not samples else whole / quartiles(samples)[1]


def _part(name: str, about: str) -> Metric:
    return Metric(name, "record", "s", "lower", f"seconds of {about} in a call that is watched", _seconds(name))


TEXT_ENCODER = _part("text_encoder_s", "the text encoders")
IMAGE_ENCODER = _part("image_encoder_s", "the image encoder")
DENOISER = _part("denoiser_s", "the denoiser, all steps (segmentation: the whole model)")
VAE_ENCODE = _part("vae_encode_s", "encoding by the VAE")
VAE_DECODE = _part("vae_decode_s", "decoding by the VAE")
REST = Metric("rest_s", "record", "s", "lower", "seconds of what is in no component, in a call that is watched", rest)
HOOKS_COST = Metric("hooks_cost", "record", "1", "lower", "the watched call's seconds over a timed one's", hooks_cost)
