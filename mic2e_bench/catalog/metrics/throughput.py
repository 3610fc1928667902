"""Images per second, from the raw samples of a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mic2e_bench.catalog.metric import Metric
from mic2e_bench.catalog.metrics.latency import quartiles

if TYPE_CHECKING:
    from mic2e_bench.records.record import Record


def images_per_second(record: Record) -> float | None:
    """Images of one call over its median seconds; ``None`` where the record has no samples."""
    return record.batch / quartiles(record.latency_s)[1] if record.latency_s else None


THROUGHPUT = Metric(
    "images_per_s", "record", "1/s", "higher", "images per second of one call, warmed up", images_per_second
)
