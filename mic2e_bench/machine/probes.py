"""Clocks and memory. Nothing here knows of diffusion."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pynvml
import torch

from mic2e_bench.files import text_or_nothing
from mic2e_bench.machine import nvidia


def synchroniser(device: str) -> Callable[[], None]:
    """A function that waits until the device has done all its work (nothing to wait for on a CPU)."""
    return torch.cuda.synchronize if device.startswith("cuda") else lambda: None


@dataclass
class Elapsed:
    """Seconds of a block, ``NaN`` until it ends; ``device_seconds`` between two CUDA events around it."""

    seconds: float = float("nan")
    device_seconds: float | None = None


@contextlib.contextmanager
def clock(device: str) -> Iterator[Elapsed]:
    """Wall-clock time of the block, the device's work included; on a GPU the device's own clock beside it."""
    elapsed, sync = Elapsed(), synchroniser(device)
    events = [torch.cuda.Event(enable_timing=True) for _ in range(2)] if device.startswith("cuda") else []
    sync()
    start = time.perf_counter()
    if events:
        events[0].record()
    try:
        yield elapsed
    finally:
        if events:
            events[1].record()
        sync()
        elapsed.seconds = time.perf_counter() - start
        if events:
            elapsed.device_seconds = events[0].elapsed_time(events[1]) / 1e3


def status_bytes(field: str) -> int | None:
    """A ``kB`` field of this process's status (``VmRSS``, ``VmHWM``) in bytes; ``None`` where there is no procfs."""
    lines = text_or_nothing(Path("/proc/self/status")).splitlines()  # psutil has no VmHWM, and RSS from another file
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), None)


def reset_peak_rss() -> bool:
    """Start the peak resident set size (``VmHWM``) anew, so that a forked child does not report its parent's.

    Linux only (proc(5), clear_refs); returns whether it worked.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


PEAKS = (
    "rss_bytes",
    "vram_allocated_bytes",
    "vram_reserved_bytes",
    "device_bytes",  # of the whole device
    "process_device_bytes",  # of this process, as the driver sees it
    "beside_allocator_bytes",  # the same less what PyTorch's allocator holds then: the CUDA context and libraries
)


@dataclass
class Peaks:
    """Peak bytes of a block, and of the phases that it is divided into; ``None`` where the device has no such reading.

    ``phases`` maps a phase to each of ``PEAKS``.
    """

    device: str
    exact: bool = True  # whether the peak resident set size can be reset
    rss_before_bytes: int | None = None
    phases: dict[str, dict[str, int | None]] = field(default_factory=dict)
    name: str = ""

    def phase(self, name: str) -> None:
        """What comes now belongs to this phase; the peaks so far belong to the one before."""
        if name != self.name:
            self.end()
            self.name = name

    def end(self) -> None:
        """Give the peaks since the last change to the phase that is going on, and start them anew."""
        now = {"rss_bytes": status_bytes("VmHWM") if self.exact else None, **_device_peaks(self.device)}
        old = self.phases.setdefault(self.name, now)
        for name, value in now.items():
            old[name] = _larger(old[name], value)
        _start_peaks(self.device)

    def __getattr__(self, name: str) -> int | None:
        """The largest of all phases: ``rss_bytes``, ``vram_allocated_bytes``, ..."""
        if not name.endswith("_bytes"):
            raise AttributeError(name)
        return functools.reduce(_larger, (peaks.get(name) for peaks in self.phases.values()), None)


def _larger(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)


def start_afresh(device: str) -> None:
    """Let go of what earlier work left behind, so that the next peaks are those of what comes now.

    PyTorch's allocator keeps the largest segments that it ever had, and starts its peak of reserved memory at what it
    keeps. Never between timed calls: they would pay for getting the memory again.
    """
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _start_peaks(device: str) -> bool:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    return reset_peak_rss()


def _device_peaks(device: str) -> dict[str, int | None]:
    """Of the CUDA device since the last reset, by PyTorch and by the driver."""
    _, *names = PEAKS
    if not device.startswith("cuda"):
        return dict.fromkeys(names)
    torch.cuda.synchronize()
    free, total = torch.cuda.mem_get_info()
    by_torch = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    process = process_device_bytes()
    # both of this moment: a peak of the one has nothing to do with the other now
    beside = None if process is None else max(0, process - torch.cuda.memory_reserved())
    return dict(zip(names, (*by_torch, total - free, process, beside), strict=True))


def device_total(device: str) -> dict[str, int]:
    """``device_total_bytes``: the memory of the CUDA device as PyTorch's shares are counted; empty on a CPU."""
    if not device.startswith("cuda"):
        return {}
    return {"device_total_bytes": torch.cuda.get_device_properties(0).total_memory}


def loaded_vram(device: str) -> dict[str, int]:
    """``loaded_vram_bytes``: what PyTorch's allocator needs to hold on the CUDA device now; empty on a CPU."""
    if not device.startswith("cuda"):
        return {}
    start_afresh(device)
    return {"loaded_vram_bytes": torch.cuda.memory_reserved()}


@contextlib.contextmanager
def memory(device: str, phase: str = "") -> Iterator[Peaks]:
    """Peak memory of the block: resident set, and on a GPU allocated, reserved and as the driver sees it."""
    peaks = Peaks(device, exact=_start_peaks(device), rss_before_bytes=status_bytes("VmRSS"), name=phase)
    try:
        yield peaks
    finally:
        peaks.end()


def process_device_bytes() -> int | None:
    """GPU memory of this process, the CUDA context included, as the driver sees it; ``None`` where it does not say."""
    found = nvidia.ask(pynvml.nvmlDeviceGetComputeRunningProcesses) or []
    # in a container the driver may know the process by another number: the only one on the card is this one
    mine = [one for one in found if one.pid == os.getpid()] or (found if len(found) == 1 else [])
    return mine[0].usedGpuMemory if mine else None


def energy_j() -> float | None:
    """Joules that the whole GPU has used since its driver was loaded; ``None`` where it does not count them."""
    used = nvidia.ask(pynvml.nvmlDeviceGetTotalEnergyConsumption)
    return None if used is None else used / 1e3


def sm_mhz() -> int | None:
    """The clock of the GPU's multiprocessors now; ``None`` where the driver does not say."""
    return nvidia.ask(pynvml.nvmlDeviceGetClockInfo, pynvml.NVML_CLOCK_SM)


def vram_since_start() -> dict[str, int | None]:
    """The peaks of this process on its CUDA device; empty where it has not touched one, which this does not change."""
    return _device_peaks("cuda") if torch.cuda.is_initialized() else {}


def weights_bytes(modules: dict[str, Any]) -> int:
    """Bytes of all parameters and buffers, shared storage counted once, inner tensors of quantised ones counted.

    A quantised tensor subclass reports the shape and dtype of what it stands for; its inner tensors are what is stored.
    """
    seen: dict[tuple[str, int], int] = {}
    for module in modules.values():
        for tensor in (*module.parameters(), *module.buffers()):
            for inner in _stored(tensor):
                storage = inner.untyped_storage()
                seen[str(inner.device), storage.data_ptr() or id(inner)] = storage.nbytes()
    return sum(seen.values())


def _stored(tensor: Any) -> Iterator[Any]:
    names = getattr(tensor, "__tensor_flatten__", None)
    if names is None:
        yield tensor.data
        yield from _bitsandbytes(tensor)
        return
    for name in names()[0]:
        yield from _stored(getattr(tensor, name))


def _bitsandbytes(tensor: Any) -> Iterator[Any]:
    """The scales that bitsandbytes hangs on a quantised parameter."""
    state = getattr(tensor, "quant_state", None)
    while state is not None:
        yield from (part for part in (state.absmax, state.code) if part is not None)
        state = getattr(state, "state2", None)
    if getattr(tensor, "SCB", None) is not None:
        yield tensor.SCB
