"""Clocks and memory. Nothing here knows of diffusion."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


def synchroniser(device: str) -> Callable[[], None]:
    """A function that waits until the device has done all its work (nothing to wait for on a CPU)."""
    return torch.cuda.synchronize if device.startswith("cuda") else lambda: None


@dataclass
class Elapsed:
    """Wall-clock seconds of a block, ``NaN`` until it ends."""

    seconds: float = float("nan")


@contextlib.contextmanager
def clock(device: str) -> Iterator[Elapsed]:
    """Wall-clock time of the block, the device's work included."""
    elapsed, sync = Elapsed(), synchroniser(device)
    sync()
    start = time.perf_counter()
    try:
        yield elapsed
    finally:
        sync()
        elapsed.seconds = time.perf_counter() - start


def status_bytes(field: str) -> int | None:
    """A ``kB`` field of this process's status (``VmRSS``, ``VmHWM``) in bytes; ``None`` where there is no procfs."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
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


@dataclass
class Peaks:
    """Peak bytes of a block; ``None`` where the device has no such reading."""

    rss_bytes: int | None = None
    rss_before_bytes: int | None = None
    vram_allocated_bytes: int | None = None
    vram_reserved_bytes: int | None = None
    device_bytes: int | None = None


@contextlib.contextmanager
def memory(device: str) -> Iterator[Peaks]:
    """Peak memory of the block: resident set, and on a GPU allocated, reserved and device-wide bytes."""
    peaks, cuda = Peaks(), device.startswith("cuda")
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    exact = reset_peak_rss()
    peaks.rss_before_bytes = status_bytes("VmRSS")
    try:
        yield peaks
    finally:
        peaks.rss_bytes = status_bytes("VmHWM") if exact else None
        if cuda:
            torch.cuda.synchronize()
            peaks.vram_allocated_bytes = torch.cuda.max_memory_allocated()
            peaks.vram_reserved_bytes = torch.cuda.max_memory_reserved()
            free, total = torch.cuda.mem_get_info()
            peaks.device_bytes = total - free


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
