"""What the first call costs more than the later ones where it compiles or exports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mic2e_bench.catalog.metric import Metric
from mic2e_bench.catalog.metrics.latency import quartiles

if TYPE_CHECKING:
    from mic2e_bench.records.record import Record

PREPARED = {"compile": "none", "engine": "torch"}  # settings that make a first call long, and their value that does not


def is_prepared(record: Record) -> bool:
    """Whether a record compiled or exported."""
    return any(record.settings.get(name, plain) != plain for name, plain in PREPARED.items())


def first_call_extra(record: Record) -> float | None:
    """Seconds of the first call less those of a steady one; ``None`` where the record has no second call."""
    steady = record.latency_s if record.warmup_s else record.latency_s[1:]
    return record.first_call_s - quartiles(steady)[1] if steady else None


def compile_seconds(record: Record) -> float | None:
    """``first_call_extra`` of a record that compiled or exported; ``None`` for the others.

    Cold or warm, as the receipt of ``compile`` says. In a build's second trial it is what a new shape cost.
    """
    return first_call_extra(record) if is_prepared(record) else None


COMPILE_SECONDS = Metric(
    "compile_s", "record", "s", "lower", "seconds that the first call took longer, to compile or export",
    compile_seconds,
)  # fmt: skip
