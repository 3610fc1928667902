"""What a process waits for until its first image, and after how many images a slower start has paid off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mic2e_bench.metric import Metric
from mic2e_bench.metrics.latency import quartiles


def time_to_first_image(record: Mapping[str, Any]) -> float | None:
    """Seconds of importing the libraries, loading and the first call; ``None`` where one of them was not measured."""
    timing = record["timing"]
    parts = timing.get("import_s"), timing["load_s"], timing["first_call_s"]
    return None if None in parts else sum(parts)


def images_to_pay_off(record: Mapping[str, Any], other: Mapping[str, Any]) -> int | None:
    """After how many images a new process with ``record``'s slower start has caught up with one with ``other``'s.

    The start is loading and the first call (both import the same libraries). 0 where it is not slower, and there is
    nothing to pay off; ``None`` where it never catches up, or where a record has no timed calls.
    """
    sides = []
    for one in (record, other):
        timing, batch = one["timing"], one["trial"]["settings"].get("batch", 1)
        if not timing["latency_s"] or timing["load_s"] is None:
            return None
        sides.append((timing["load_s"] + timing["first_call_s"], quartiles(timing["latency_s"])[1] / batch, batch))
    (first, each, batch), (other_first, other_each, other_batch) = sides
    if first <= other_first:
        return 0
    # n images take first + (n - batch) * each
    behind = first - other_first - each * batch + other_each * other_batch
    return math.ceil(behind / (other_each - each)) if each < other_each else None


IMPORT = Metric(
    "import_s", "record", "s", "lower", "seconds from a new interpreter until the libraries are imported",
    lambda record: record["timing"].get("import_s"),
)  # fmt: skip
PLACE = Metric(
    "place_s", "record", "s", "lower", "seconds of moving the loaded pipeline to its device, part of load_s",
    lambda record: record["timing"].get("load_parts_s", {}).get("place"),
)  # fmt: skip
TIME_TO_FIRST_IMAGE = Metric(
    "time_to_first_image_s", "record", "s", "lower", "seconds of import, loading and first call", time_to_first_image
)
