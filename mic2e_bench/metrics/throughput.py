"""Images per second, from the raw samples of a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mic2e_bench.metric import Metric
from mic2e_bench.metrics.latency import images_per_call, quartiles


def images_per_second(record: Mapping[str, Any]) -> float | None:
    """Images of one call over its median seconds; ``None`` where the record has no samples."""
    samples = record["timing"]["latency_s"]
    return images_per_call(record) / quartiles(samples)[1] if samples else None


THROUGHPUT = Metric(
    "images_per_s", "record", "1/s", "higher", "images per second of one call, warmed up", images_per_second
)
