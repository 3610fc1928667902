"""Whether memory is running out here, and whether the kernel has ended processes for it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable

import psutil

from mic2e_bench.machine import facts

NEARLY = 0.9  # of a limit of memory
NO_MEMORY = (
    "can't allocate memory",  # PyTorch's allocator of the CPU: a RuntimeError
    "Cannot allocate memory",  # the C library, in the words of whoever asked it
    "std::bad_alloc",
    "Failed to allocate memory",  # ONNX Runtime
    "out of memory",
    "STATUS_ALLOC_FAILED",  # cuBLAS and cuDNN
    "NVML_SUCCESS == r",  # PyTorch's allocator, whose report of the device's memory failed for want of memory
)
# what libraries say of several failures, no memory among them
MAYBE_NO_MEMORY = (
    "could not create a primitive",
    "could not execute a primitive",
    "can't start new thread",
    "unable to find an engine",  # cuDNN's frontend, also for what it does not support
    "valid cuDNN algorithm",
)


def is_want_of_memory(error: BaseException) -> bool:
    """Whether an exception says that there was no memory, of this machine or of a device."""

    def says(phrases: Iterable[str]) -> bool:
        return any(phrase in str(error) for phrase in phrases)

    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or says(NO_MEMORY):
        return True
    return says(MAYBE_NO_MEMORY) and short_of_memory()


def short_of_memory() -> bool:
    """Whether this process, its CUDA device or the machine is near the end of its memory. Never imports torch."""
    process, machine = psutil.Process(), psutil.virtual_memory()
    limit = process.rlimit(psutil.RLIMIT_AS)[0] if hasattr(process, "rlimit") else -1
    if machine.available < (1 - NEARLY) * machine.total or 0 < limit * NEARLY < process.memory_info().vms:
        return True
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return False
    free, total = torch.cuda.mem_get_info()
    share = torch.cuda.get_per_process_memory_fraction() * total
    # what PyTorch keeps for itself is not free, and no library beside it gets any of it
    return free < (1 - NEARLY) * total or torch.cuda.memory_reserved() > NEARLY * share


def oom_kills() -> int:
    """How often the kernel's out-of-memory killer has struck; 0 where it does not say."""
    return facts.counter("oom_kill") or 0


@functools.cache
def oom_kills_at_start() -> int:
    """The kernel's count of out-of-memory kills when this was first asked: before the first child is started."""
    return oom_kills()
