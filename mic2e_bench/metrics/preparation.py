"""What the first call costs more than the later ones where it compiles or exports, and when that has paid off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mic2e_bench.metric import Metric
from mic2e_bench.metrics.latency import quartiles


def first_call_extra(record: Mapping[str, Any]) -> float | None:
    """Seconds of the first call less those of a steady one; ``None`` where the record has no second call."""
    timing = record["timing"]
    steady = timing["latency_s"] if timing.get("warmup_s") else timing["latency_s"][1:]
    return timing["first_call_s"] - quartiles(steady)[1] if steady else None


def compile_seconds(record: Mapping[str, Any]) -> float | None:
    """``first_call_extra`` of a record that compiled or exported; ``None`` for the others.

    Cold or warm, as the receipt of ``compile`` says. In a build's second trial it is what a new shape cost.
    """
    settings = record["trial"]["settings"]
    prepared = settings.get("compile", "none") != "none" or settings.get("engine", "torch") != "torch"
    return first_call_extra(record) if prepared else None


def break_even_images(record: Mapping[str, Any], baseline: Mapping[str, Any]) -> int | None:
    """After how many images the longer first call has paid off against ``baseline``.

    ``None`` where a later image is not made faster, or where a record has too few samples to say.
    """
    extra, before = first_call_extra(record), first_call_extra(baseline)
    if extra is None or before is None:
        return None
    saved = _seconds_per_image(baseline) - _seconds_per_image(record)
    return max(0, math.ceil((extra - before) / saved)) if saved > 0 else None


def _seconds_per_image(record: Mapping[str, Any]) -> float:
    return quartiles(record["timing"]["latency_s"])[1] / record["trial"]["settings"].get("batch", 1)


COMPILE_SECONDS = Metric(
    "compile_s",
    "record",
    "s",
    "lower",
    "seconds that the first call took longer, to compile or export",
    compile_seconds,
)
