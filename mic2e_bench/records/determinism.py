"""Whether one setting makes one image: the last timed repeat against the image of the same input and seed."""

from __future__ import annotations

from mic2e_bench.records.record import Record


def is_deterministic(record: Record) -> bool | None:
    """Whether every image that was made twice has one hash; ``None`` where nothing was made twice."""
    twice = [one for one in record.images if one.get("again")]
    return all(one["sha256"] == one["again"]["sha256"] for one in twice) if twice else None
