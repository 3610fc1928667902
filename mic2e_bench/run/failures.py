"""What a failure means: the status of an exception, and of a process that ended without a word."""

from __future__ import annotations

import errno
import signal
import sys
import traceback
from pathlib import Path

import psutil

from mic2e_bench import files
from mic2e_bench.errors import BadInput, Unavailable
from mic2e_bench.machine import environment

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
NO_DEVICE = (
    "no CUDA-capable device",
    "busy or unavailable",
    "Found no NVIDIA driver",
    "CUDA driver initialization failed",
    "CUDA unknown error",
)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)  # of a disk
LAST_BYTES = 4000  # of a log that are looked through
NEARLY = 0.9  # of a limit of memory


def classify(error: BaseException) -> str:
    """The status that an exception means; ``unwritable``, which no record has, where there is no room for results."""
    text = str(error)
    if isinstance(error, Unavailable) or any(words in text for words in NO_DEVICE):
        return "unavailable"
    if isinstance(error, files.CannotWrite) or (isinstance(error, OSError) and error.errno in NO_ROOM):
        return "unwritable"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "oom"
    if any(words in text for words in NO_MEMORY):
        return "oom"
    return "oom" if any(words in text for words in MAYBE_NO_MEMORY) and short_of_memory() else "error"


def describe(error: BaseException) -> str:
    """An exception in one line, with the place in our or the library's code where it was raised."""
    text = " ".join(str(error).split())[:500]
    if isinstance(error, (Unavailable, BadInput)):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{place}"


def short_of_memory() -> bool:
    """Whether this process, its CUDA device or the machine is near the end of its memory."""
    process, machine = psutil.Process(), psutil.virtual_memory()
    limit = process.rlimit(psutil.RLIMIT_AS)[0] if hasattr(process, "rlimit") else -1
    if machine.available < (1 - NEARLY) * machine.total or 0 < limit * NEARLY < process.memory_info().vms:
        return True
    return _short_on_the_device()


def _short_on_the_device() -> bool:
    """Whether little is left of the device, or of the share that PyTorch may take of it."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return False
    free, total = torch.cuda.mem_get_info()
    share = torch.cuda.get_per_process_memory_fraction() * total
    # what PyTorch keeps for itself is not free, and no library beside it gets any of it
    return free < (1 - NEARLY) * total or torch.cuda.memory_reserved() > NEARLY * share


def died(exitcode: int | None, stage: str, log: Path | None = None) -> tuple[str, str]:
    """Status and reason for a child that ended without a word; ``log`` is where its libraries' last ones are."""
    if exitcode is None or exitcode >= 0:
        reason = f"the process exited with code {exitcode} in stage: {stage}"
    elif -exitcode == signal.SIGKILL and environment.oom_kills() > environment.oom_kills_at_start():
        return "oom", f"the kernel's out-of-memory killer ended the process in stage: {stage}"
    else:
        reason = f"the process was ended by {signal.Signals(-exitcode).name} in stage: {stage}"
    # C++ code that finds no memory ends the whole process; what it says is all there is to know
    if exitcode == -signal.SIGABRT and "std::bad_alloc" in last_words(log):
        return "oom", f"{reason}; its last words: std::bad_alloc"
    return "error", reason


def last_words(log: Path | None) -> str:
    """The end of a log; nothing where there is none."""
    try:
        with open(log or "", "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - LAST_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
