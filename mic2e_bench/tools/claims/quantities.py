"""The quantities of claims, each measured from the records of an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mic2e_bench import statistics
from mic2e_bench.catalog.metrics.latency import quartiles
from mic2e_bench.records import comparable
from mic2e_bench.records.comparable import RSS, VRAM
from mic2e_bench.records.ratios import speedup
from mic2e_bench.records.record import TIMES
from mic2e_bench.tools.claims.stored import Evidence, Stored
from mic2e_bench.units import digits

Value = tuple[float | None, list[float] | None, str]  # the figure, its 95 % interval, why one of them is missing
NO_GPU, RANDOM_PAINTS = "no GPU here", "random weights paint no pictures"
RANDOM_LOADS = "random weights are made in place, not loaded"
ONCE = "measured once: no interval"
LOADING_NOISE = 0.08  # of a process's peak while it loads, which no study repeats: as of peaks that were
WEIGHTS = "weights_bytes"
LOADED = ("load_peak_rss_bytes", "load_s")  # figures of loading


def _speed(answer: Evidence) -> Value:
    """Seconds an image, so that of a batch it is the throughput."""
    made = speedup(answer.before.record, answer.after.record, answer.baseline and answer.baseline.record)
    return made.ratio, made.interval, made.why


def _figure(one: Stored, name: str) -> float | None:
    """Seconds by the name of a field, bytes by that of the memory; random weights have none of loading."""
    if name in LOADED and one.record.model["source"] == "random":
        return None
    return getattr(one.record, name) if name in TIMES else one.record.memory.get(name)


def _noise(one: Stored, name: str) -> float | None:
    """How far a figure is uncertain to either side, as a share of it; ``None`` where that is not known."""
    if name in (VRAM, WEIGHTS):
        return 0.0
    if name != "load_peak_rss_bytes":
        return None
    peak, noise = one.record.memory.get(RSS), comparable.memory_noise(one.record)
    return noise / peak if comparable.memory_of(one.record) == RSS and peak and noise is not None else LOADING_NOISE


def _single(name: str, factor: float = 1) -> Callable[[Evidence], Value]:
    """The figure of the record itself, in another unit by ``factor``."""

    def of(answer: Evidence) -> Value:
        value, noise = _figure(answer.after, name), _noise(answer.after, name)
        if not value:
            return None, None, _missing(name, answer)
        value *= factor
        return (value, None, ONCE) if noise is None else (value, [value * (1 - noise), value * (1 + noise)], "")

    return of


def _ratio(name: str) -> Callable[[Evidence], Value]:
    """The figure over that of the record which it is compared to."""

    def of(answer: Evidence) -> Value:
        after, before = (_figure(one, name) for one in (answer.after, answer.before))
        if not after or not before:
            return None, None, _missing(name, answer)
        value, noises = after / before, [_noise(one, name) for one in (answer.after, answer.before)]
        if None in noises:
            return value, None, ONCE
        mine, its = noises
        return value, [value * (1 - mine) / (1 + its), value * (1 + mine) / (1 - its)], ""

    return of


def _missing(name: str, answer: Evidence) -> str:
    """Why a record lacks a figure; without a GPU the bytes of the weights are what is known of its memory."""
    if name in LOADED and answer.after.record.model["source"] == "random":
        return RANDOM_LOADS
    if "vram" not in name or answer.after.on_gpu:
        return f"{name} was not measured"
    weights = [one.record.memory.get(WEIGHTS) for one in answer.records]
    if len(weights) < 2 or not all(weights):
        return NO_GPU
    return f"{NO_GPU} (bytes of the weights: {digits(weights[0] / weights[1])}×)"


def _quality(answer: Evidence) -> Value:
    """Pictures on the scale of LPIPS; masks by their overlap."""
    scores, factor = answer.after.record.quality, 1
    entry = scores.get("quality") or {}
    if not entry and "iou" in scores:
        entry, factor = scores["iou"], 100
    if answer.after.record.model["source"] == "random":
        return None, None, RANDOM_PAINTS
    if entry.get("value") is None:
        return None, None, entry.get("problem", "no score of its pictures")
    if entry["against"] != answer.before.record.id:
        return None, None, "its pictures were scored against those of other settings"
    ends = entry["ci95"] and [end * factor for end in entry["ci95"]]
    return entry["value"] * factor, ends, "" if ends else "no interval of its quality"


def pairs(one: Stored) -> int:
    """Of how many pictures and their reference its quality is made."""
    entry = one.record.quality.get("quality") or one.record.quality.get("iou") or {}
    return entry.get("pairs") or entry.get("n") or len(one.record.images)


def _first(answer: Evidence) -> Value:
    one = answer.after.record
    if not one.latency_s or one.first_call_s is None:
        return None, None, "no first call on record"
    return one.first_call_s / quartiles(one.latency_s)[1], None, ONCE


def _seconds(answer: Evidence) -> Value:
    """The median; its interval is over builds, because calls of one build say nothing of the next."""
    one = answer.after.record
    samples, builds = one.latency_s, one.raw["timing"].get("builds") or ()
    if not samples:
        return None, None, "no timed calls"
    if len(builds) != len(samples) or len(set(builds)) < statistics.ENOUGH:
        return quartiles(samples)[1], None, "one build: no interval"
    by_build: dict[int, list[float]] = {}
    for build, sample in zip(builds, samples, strict=True):
        by_build.setdefault(build, []).append(sample)
    return *statistics.median([quartiles(each)[1] for each in by_build.values()]), ""


def _images_per_minute(answer: Evidence) -> Value:
    seconds, ends, why = _seconds(answer)
    images = 60 * answer.after.settings.get("batch", 1)
    return (images / seconds, ends and [images / end for end in reversed(ends)], why) if seconds else (None, None, why)


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
    "weights_gb": _single(WEIGHTS, 1e-9),
}
