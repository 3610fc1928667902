"""Memory of loading and of one call, as the probes stored it; ``None`` where the device has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mic2e_bench.catalog.metric import Metric

if TYPE_CHECKING:
    from mic2e_bench.records.record import Record


def _stored(name: str, about: str) -> Metric:
    return Metric(name, "record", "B", "lower", about, lambda record: record.memory.get(name))


PEAK_VRAM_ALLOCATED = _stored("peak_vram_allocated_bytes", "most GPU memory that tensors held during a call")
PEAK_VRAM_RESERVED = _stored("peak_vram_reserved_bytes", "most GPU memory that PyTorch's allocator held during a call")
PEAK_DEVICE = _stored("peak_device_bytes", "most GPU memory in use on the whole device during a call")
PEAK_PROCESS_DEVICE = _stored("peak_process_device_bytes", "most GPU memory of the process, as the driver sees it")
PEAK_RSS = _stored("peak_rss_bytes", "most main memory that the process held during a call, libraries included")
LOAD_PEAK_RSS = _stored("load_peak_rss_bytes", "most main memory that the process held while loading")
WEIGHTS = _stored("weights_bytes", "bytes of all weights of the pipeline")


def fragmentation(record: Record) -> int | None:
    """What PyTorch's allocator held beyond what tensors did, both at their peaks."""
    reserved, allocated = (record.memory.get(f"peak_vram_{name}_bytes") for name in ("reserved", "allocated"))
    return None if reserved is None or allocated is None else reserved - allocated


FRAGMENTATION = Metric(
    "vram_fragmentation_bytes", "record", "B", "lower", "peak GPU memory held by the allocator less that of tensors",
    fragmentation,
)  # fmt: skip


def above_loaded(record: Record) -> int | None:
    """Of the GPU where its record has such a peak, else of the process."""
    for peak, loaded in (("peak_vram_reserved_bytes", "loaded_vram_bytes"), ("peak_rss_bytes", "loaded_rss_bytes")):
        if record.memory.get(peak) is not None:
            held = record.memory.get(loaded)
            return None if held is None else record.memory[peak] - held
    return None


ABOVE_LOADED = Metric(
    "above_loaded_bytes", "record", "B", "lower", "peak memory of a call less what the loaded pipeline held before it",
    above_loaded,
)  # fmt: skip
