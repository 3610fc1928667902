"""The quantities of claims, each measured from the records of an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mic2e_bench.catalog.metrics.latency import quartiles
from mic2e_bench.records.comparable import VRAM
from mic2e_bench.records.ratios import speedup
from mic2e_bench.records.record import TIMES
from mic2e_bench.tools.claims.answers import Evidence, Stored
from mic2e_bench.units import digits

Value = tuple[float | None, list[float] | None, str]  # the figure, its 95 % interval, why there is none
LOADED = ("load_peak_rss_bytes", "load_s")  # figures of loading


def _speed(answer: Evidence) -> Value:
    """Seconds an image, so that of a batch it is the throughput."""
    value, ci95, *_ = speedup(answer.before.record, answer.after.record)
    return (value, ci95, "") if value is not None else (None, None, "no timed calls")


def _figure(one: Stored, name: str) -> float | None:
    """Seconds by the name of a field, bytes by that of the memory; random weights have none of loading."""
    if name in LOADED and one.record.model["source"] == "random":
        return None
    return getattr(one.record, name) if name in TIMES else one.record.memory.get(name)


def _single(name: str, factor: float = 1) -> Callable[[Evidence], Value]:
    """The figure of the record itself, in another unit by ``factor``."""

    def of(answer: Evidence) -> Value:
        value = _figure(answer.after, name)
        return (value * factor, None, "") if value else (None, None, _missing(name, answer))

    return of


def _ratio(name: str) -> Callable[[Evidence], Value]:
    """The figure over that of the record which it is compared to."""

    def of(answer: Evidence) -> Value:
        after, before = (_figure(one, name) for one in (answer.after, answer.before))
        return (after / before, None, "") if after and before else (None, None, _missing(name, answer))

    return of


def _missing(name: str, answer: Evidence) -> str:
    """Why a record lacks a figure; without a GPU the bytes of the weights are what is known of its memory."""
    if name in LOADED and answer.after.record.model["source"] == "random":
        return "random weights are made in place, not loaded"
    if "vram" not in name or answer.after.on_gpu:
        return f"{name} was not measured"
    weights = [one.record.memory.get("weights_bytes") for one in answer.records]
    if len(weights) < 2 or not all(weights):
        return "no GPU here"
    return f"no GPU here (bytes of the weights: {digits(weights[0] / weights[1])}×)"


def _quality(answer: Evidence) -> Value:
    """Pictures on the scale of LPIPS; masks by their overlap."""
    scores, factor = answer.after.record.quality, 1
    entry = scores.get("quality") or {}
    if not entry and "iou" in scores:
        entry, factor = scores["iou"], 100
    if answer.after.record.model["source"] == "random":
        return None, None, "random weights paint no pictures"
    if entry.get("value") is None:
        return None, None, entry.get("problem", "no score of its pictures")
    if entry["against"] != answer.before.record.id:
        return None, None, "its pictures were scored against those of other settings"
    return entry["value"] * factor, entry["ci95"] and [end * factor for end in entry["ci95"]], ""


def _first(answer: Evidence) -> Value:
    one = answer.after.record
    if not one.latency_s or one.first_call_s is None:
        return None, None, "no first call on record"
    return one.first_call_s / quartiles(one.latency_s)[1], None, ""


def _seconds(answer: Evidence) -> Value:
    samples = answer.after.record.latency_s
    return (quartiles(samples)[1], None, "") if samples else (None, None, "no timed calls")


def _images_per_minute(answer: Evidence) -> Value:
    seconds, _, why = _seconds(answer)
    return (60 * answer.after.settings.get("batch", 1) / seconds, None, "") if seconds else (None, None, why)


MEASURES: Mapping[str, Callable[[Evidence], Value]] = {
    "speed": _speed,
    "throughput": _speed,
    "vram": _ratio(VRAM),
    "ram": _ratio("load_peak_rss_bytes"),
    "load": _ratio("load_s"),
    "first": _first,
    "quality": _quality,
    "seconds": _seconds,
    "images_per_minute": _images_per_minute,
    "vram_gb": _single(VRAM, 1e-9),
    "ram_gb": _single("load_peak_rss_bytes", 1e-9),
    "load_s": _single("load_s"),
    "first_s": _single("first_call_s"),
}
