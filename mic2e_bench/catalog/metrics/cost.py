"""How far from the device's limits a setting is, where the protocol asked for the cost of the work; and energy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mic2e_bench.catalog.metric import Metric
from mic2e_bench.catalog.metrics.latency import quartiles

if TYPE_CHECKING:
    from mic2e_bench.records.record import Record


def _per_second(record: Record, name: str) -> float | None:
    amount = record.cost.get(name)
    return amount / quartiles(record.latency_s)[1] if amount is not None and record.latency_s else None


def flops_per_s(record: Record) -> float | None:
    """FLOPs of a call over its median seconds."""
    return _per_second(record, "flops")


def flops_utilisation(record: Record) -> float | None:
    """``flops_per_s`` over what a product of two matrices reached on this device in the same type."""
    return _share(flops_per_s(record), record, "matmul_flops_per_s")


def bandwidth_utilisation(record: Record) -> float | None:
    """Estimated bytes moved by a call over its median seconds, over what a copy reached on this device."""
    return _share(_per_second(record, "moved_bytes_estimate"), record, "copy_bytes_per_s")


def _share(achieved: float | None, record: Record, ceiling: str) -> float | None:
    there = record.cost.get("ceilings", {}).get(ceiling)
    return None if achieved is None or there is None else achieved / there


def energy_per_image(record: Record) -> float | None:
    """Joules of the whole device over the timed calls, for each image; ``None`` where its driver counts none."""
    images = len(record.latency_s) * record.batch
    return sum(record.energy_j) / images if record.energy_j and images else None


FLOPS = Metric(
    "flops", "record", "FLOP", "lower", "floating-point operations of a call, by PyTorch's counter",
    lambda record: record.cost.get("flops"),
)  # fmt: skip
FLOPS_PER_S = Metric("flops_per_s", "record", "FLOP/s", "higher", "operations of a call over its seconds", flops_per_s)
FLOPS_UTILISATION = Metric(
    "flops_utilisation", "record", "1", "higher", "operations per second over those of a matrix product on this device",
    flops_utilisation,
)  # fmt: skip
BANDWIDTH_UTILISATION = Metric(
    "bandwidth_utilisation", "record", "1", "higher", "estimated bytes moved per second over those of a copy here",
    bandwidth_utilisation,
)  # fmt: skip
ENERGY = Metric(
    "energy_per_image_j", "record", "J", "lower", "joules of the whole GPU for an image, by its driver",
    energy_per_image,
)  # fmt: skip
