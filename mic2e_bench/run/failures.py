"""What a failure means: the status of an exception, and of a process that ended without a word."""

from __future__ import annotations

import errno
import signal
import traceback
from pathlib import Path

from mic2e_bench import files
from mic2e_bench.errors import BadInput, Unavailable
from mic2e_bench.machine import visible
from mic2e_bench.machine.memory_left import is_want_of_memory, oom_kills, oom_kills_at_start

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)  # of a disk


class Told(Exception):
    """What stopped a piece of work in another process, as that process says it."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def classify(error: BaseException) -> str:
    """The status that an exception means; ``unwritable``, which no record has, where there is no room for results."""
    if isinstance(error, Told):
        return error.status
    if isinstance(error, Unavailable) or visible.is_no_device(error):
        return "unavailable"
    if isinstance(error, files.CannotWrite) or (isinstance(error, OSError) and error.errno in NO_ROOM):
        return "unwritable"
    return "oom" if is_want_of_memory(error) else "error"


def describe(error: BaseException) -> str:
    """An exception in one line, with the place in our or the library's code where it was raised."""
    text = " ".join(str(error).split())[:500]
    if isinstance(error, Told):
        return error.reason
    if isinstance(error, (Unavailable, BadInput)):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{place}"


def died(exitcode: int | None, stage: str, log: Path | None = None) -> tuple[str, str]:
    """Status and reason for a child that ended without a word; ``log`` is where its libraries' last ones are."""
    if exitcode is None or exitcode >= 0:
        reason = f"the process exited with code {exitcode} in stage: {stage}"
    elif -exitcode == signal.SIGKILL and oom_kills() > oom_kills_at_start():
        return "oom", f"the kernel's out-of-memory killer ended the process in stage: {stage}"
    else:
        reason = f"the process was ended by {signal.Signals(-exitcode).name} in stage: {stage}"
    # C++ code that finds no memory ends the whole process; what it says is all there is to know
    if exitcode == -signal.SIGABRT and "std::bad_alloc" in files.last_words(log):
        return "oom", f"{reason}; its last words: std::bad_alloc"
    return "error", reason
