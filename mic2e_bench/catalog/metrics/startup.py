"""What a process waits for until its first image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mic2e_bench.catalog.metric import Metric

if TYPE_CHECKING:
    from mic2e_bench.records.record import Record


def time_to_first_image(record: Record) -> float | None:
    """Seconds of importing the libraries, loading and the first call; ``None`` where one of them was not measured."""
    parts = record.import_s, record.load_s, record.first_call_s
    return None if None in parts else sum(parts)


IMPORT = Metric(
    "import_s", "record", "s", "lower", "seconds from a new interpreter until the libraries are imported",
    lambda record: record.import_s,
)  # fmt: skip
PLACE = Metric(
    "place_s", "record", "s", "lower", "seconds of moving the loaded pipeline to its device, part of load_s",
    lambda record: record.place_s,
)  # fmt: skip
TIME_TO_FIRST_IMAGE = Metric(
    "time_to_first_image_s", "record", "s", "lower", "seconds of import, loading and first call", time_to_first_image
)
