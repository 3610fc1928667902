"""What may be compared with what: one meaning each of measured, unapplied, disturbed, the memory, the baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mic2e_bench import statistics
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import environment
from mic2e_bench.records.record import Record

MEASURED = ("ok", "not_applied")  # statuses of records that count as measured: such a trial is not measured again
# two records can be compared only where these agree
SAME = ("host", "device", "driver", "python", "packages")
# figures that stand side by side, each with its device: a GPU that is lent has another host's name each time
SAME_DEVICE = tuple(name for name in SAME if name != "host")
VRAM, RSS = "peak_vram_reserved_bytes", "peak_rss_bytes"
OLD_RSS_NOISE = 0.08  # of a peak in a process that had measured other trials before
TRUTH, FLOAT32 = "truth", "float32"  # what quality is scored against beside another record
EXACT = {"precision": "fp32", "quantize": "none"}  # settings that round least
JUDGES = ("quality", "iou", "flip", "lpips", "ssim", "ms_ssim", "psnr")  # of whether a difference can be seen
MEMORY_NAMES = {VRAM: "peak VRAM", RSS: "peak RSS"}


def is_measured(one: Record) -> bool:
    """Whether a trial ran to its end, even with a setting that was not in force."""
    return one.status in MEASURED


def is_deterministic(one: Record) -> bool | None:
    """Whether every image that was made twice has one hash; ``None`` where nothing was made twice."""
    twice = [image for image in one.images if image.get("again")]
    return all(image["sha256"] == image["again"]["sha256"] for image in twice) if twice else None


def unapplied(one: Record) -> dict[str, Mapping[str, Any]]:
    """The receipts of the settings that were asked for and not in force, by setting."""
    return {name: receipt for name, receipt in one.receipts.items() if not receipt["applied"]}


def disturbed(one: Record) -> Sequence[str]:
    """What went on beside a trial that may have moved its numbers (throttling, other work), a reason each."""
    return one.environment.get("disturbed") or ()


def unusable(one: Record) -> str:
    """Why no choice may rest on a record; empty where it may."""
    if one.status != "ok":
        return f"{one.status}: {one.reason}" if one.reason else one.status
    return "" if one.latency_s else "no latency was measured"


def memory_column(vram: Iterable[Any]) -> str:
    """The name of the peak memory of a call: that of the GPU where any of these values of it is there, else of the
    process. No bytes at all are a value; ``None`` and NaN are none.
    """
    return VRAM if any(value is not None and value == value for value in vram) else RSS


def memory_of(one: Record) -> str:
    """The same of a single record."""
    return memory_column([one.memory.get(VRAM)])


def memory_noise(one: Record) -> float | None:
    """Bytes by which two peaks of the same work may differ (95 %); ``None`` without a peak. VRAM repeats exactly.

    From the baseline's repeats in its study. Of a record without repeats, what those of old records showed.
    """
    peak, repeats = one.memory[memory_of(one)], one.memory.get("repeats_peak_rss_bytes", ())
    if peak is None or memory_of(one) == VRAM:
        return None if peak is None else 0.0
    if len(repeats) < 2 or None in repeats:
        return OLD_RSS_NOISE * peak
    return peak * statistics.between_two(repeats)


def references(one: Record) -> list[str]:
    """The ids of the records that its quality was scored against."""
    found = dict.fromkeys(entry["against"] for entry in one.quality.values())
    return [id for id in found if id not in (TRUTH, FLOAT32)]


def in_float32(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The same settings in float32, as a reference for what rounding does; ``None`` where they are that already."""
    wanted = {**settings, **{name: value for name, value in EXACT.items() if name in settings}}
    return None if wanted == dict(settings) else wanted


def told(one: Record) -> str:
    """What may be said of its pictures against its baseline's: ``same``, ``rounding`` (cannot be told from rounding),
    ``visible``, ``too few`` (pictures) or ``unknown``. By the first metric of ``JUDGES`` that has a score.

    Older scores had a repeat for a floor: what was within it is, what was not is not known.
    """
    entry = next((one.quality[name] for name in JUDGES if one.quality.get(name, {}).get("value") is not None), {})
    return entry.get("told") or ("rounding" if entry.get("visible") is False else "unknown")


def is_baseline(one: Record) -> bool:
    """Whether others of its study are measured against it: by its scores, else by its label."""
    return one.id in references(one) if references(one) else one.label == "baseline"


def place(one: Record, names: Sequence[str] = SAME) -> list[Any]:
    """The environment that a record can be compared in."""
    return [one.environment.get(name) for name in names]


def is_as_here(environment_of: Mapping[str, Any], device: str) -> bool:
    """Whether that is the environment of this machine since it was started, with what it has now."""
    now = environment.here(device)
    return all(environment_of.get(name) == now[name] for name in ("boot", *SAME_DEVICE))


def require_one(records: Iterable[Record], names: Sequence[str] = SAME) -> None:
    """Refuse to put records of different environments into one table. Raises ``BadInput`` naming what differs.

    ``names``: in what they must agree. What was not measured may come from anywhere.
    """
    first = None
    for one in filter(is_measured, records):
        first = first or one
        for name, other, mine in zip(names, place(first, names), place(one, names), strict=True):
            if mine != other:
                raise BadInput(
                    f"{one.study}: records {first.id} and {one.id} were measured in different environments "
                    f"({name}: {_difference(other, mine)}). Measure them again (run --rerun) or ask for it (--mixed)."
                )


def _difference(one: Any, other: Any) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        names = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
        return ", ".join(f"{name} {one.get(name)} and {other.get(name)}" for name in names)
    return f"{one} and {other}"
