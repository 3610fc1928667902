"""May this process fork children that use CUDA? Not once anything in it has started CUDA, as importing libraries does.

bitsandbytes and xFormers ask for the device's compute capability while they are imported, and PyTorch starts CUDA to
answer. While ``answered_by_driver`` is in force the driver answers instead (NVML, which starts nothing).
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pynvml

from mic2e_bench.machine import nvidia, visible

starts: list[str] = []  # places in libraries' code that have started CUDA in this process all the same


def started() -> str:
    """What has started CUDA in this process, in words; empty where nothing has. Never imports torch."""
    torch = sys.modules.get("torch")
    if starts:
        return f"CUDA was started by {starts[0]}"
    return "CUDA was started" if torch is not None and torch.cuda.is_initialized() else ""


def may_fork() -> bool:
    """Whether a child that this process forks can use CUDA."""
    return hasattr(os, "fork") and not started()


def answered_by_driver() -> contextlib.AbstractContextManager[None]:
    """In the block, what libraries ask of ``torch.cuda`` is answered by NVML; who starts CUDA is noted."""
    return _answered(visible.look().handles)


def without_device() -> contextlib.AbstractContextManager[None]:
    """In the block, libraries are told that there is no CUDA device, for work that needs none."""
    return _answered(())


@contextlib.contextmanager
def _answered(handles: Sequence[Any]) -> Iterator[None]:
    import torch

    answers: dict[str, Callable[..., Any]] = {
        "is_available": lambda: bool(handles),
        "device_count": lambda: len(handles),
        "current_device": lambda: 0,
        "get_device_capability": lambda device=None: _capability(handles[_index(device)]),
        "get_device_name": lambda device=None: pynvml.nvmlDeviceGetName(handles[_index(device)]),
    }
    with contextlib.ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(_in_place_of(torch.cuda, name, answer))
        stack.enter_context(_noted(torch.cuda, "_lazy_init"))
        if hasattr(torch._C, "_cuda_getDeviceCount"):  # not in a build for CPUs
            stack.enter_context(_noted(torch._C, "_cuda_getDeviceCount"))
        yield
    _forget_driver()


def _index(device: Any) -> int:
    """The number of a device as ``torch.cuda`` takes it: itself, a text or a device object."""
    import torch

    if device is None or isinstance(device, int):
        return device or 0
    if isinstance(device, torch.cuda.device):
        return max(0, device.idx)
    return torch.device(device).index or 0


def _capability(handle: Any) -> tuple[int, int]:
    with contextlib.suppress(pynvml.NVMLError):
        if pynvml.nvmlDeviceIsMigDeviceHandle(handle):  # an instance has the capability of its card
            handle = pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle)
    return tuple(pynvml.nvmlDeviceGetCudaComputeCapability(handle))


@contextlib.contextmanager
def _in_place_of(owner: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, function)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _noted(owner: Any, name: str) -> contextlib.AbstractContextManager[None]:
    """Note each caller of a function that starts CUDA, and call it."""
    inner = getattr(owner, name)

    def noted(*args: Any, **kwargs: Any) -> Any:
        frames = [frame for frame in traceback.extract_stack()[:-1] if "/torch/" not in frame.filename]
        starts.append(f"{'/'.join(Path(frames[-1].filename).parts[-2:])}:{frames[-1].lineno}")
        return inner(*args, **kwargs)

    return _in_place_of(owner, name, noted)


def _forget_driver() -> None:
    """What a forked child inherits of the driver is not its own: it asks anew."""
    nvidia.handle.cache_clear()
    with contextlib.suppress(pynvml.NVMLError):
        pynvml.nvmlShutdown()
