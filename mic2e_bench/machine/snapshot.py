"""This process as it is now, kept: whatever it does later, work can begin from here again, in a process of its own.

A forked process keeps the state and does nothing; each piece of work gets a fork of that. Pages are shared until
somebody writes to them, so that it costs little more than what the work itself needs. For work on the CPU only.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

import torch
from tqdm import tqdm

from mic2e_bench.files import text_or_nothing
from mic2e_bench.machine import tied

HARD = 2  # omp_pause_hard: all that the runtime holds, its threads too
OPENMP = re.compile(r"/\S*/lib(?:gomp|iomp5|omp)\b[^/\s]*\.so\S*")
M_MMAP_THRESHOLD = -3  # of malloc.h
ENDING_S = 0.5  # that threads are given to end; those of OpenMP take milliseconds


class Unforkable(Exception):
    """Why this process cannot be kept, in words."""


class Snapshot:
    """``snapshot(*args)`` is ``work(*args)`` in a fork of this process as it was when the snapshot was made.

    Arguments and results are pickled. Where the work's process dies, or raises, this one ends in the same way, as if
    the work had been its own; its processes end with this one. Raises ``Unforkable`` where a fork would lack threads.
    """

    def __init__(self, work: Callable[..., Any]) -> None:
        if why := threads_left():
            raise Unforkable(why)
        self.pipe, its = multiprocessing.Pipe()
        self.pid = _fork(lambda: _keep(work, its, self.pipe))
        its.close()

    def __call__(self, *args: Any) -> Any:
        try:
            self.pipe.send(args)
            said = self.pipe.recv()
            if "ended" not in said:  # its process has an end, too: before that its time is nobody's
                said |= self.pipe.recv()
        except (EOFError, OSError):  # it was the keeper that died
            said = {"ended": os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])}
        if "result" not in said:
            code = said["ended"]
            os._exit(code) if code >= 0 else os.kill(os.getpid(), -code)
        return said["result"]

    def close(self) -> None:
        """Give back what the kept state holds. A later snapshot holds this one's pipe as well, which so never ends."""
        self.pipe.close()
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def _keep(work: Callable[..., Any], pipe: Connection, its_other_end: Connection) -> None:
    """The process that keeps the state: forks itself for every piece of work, until the other end is closed."""
    its_other_end.close()

    def one(args: tuple[Any, ...]) -> None:
        pipe.send({"result": work(*args)})

    with contextlib.suppress(EOFError):
        while True:
            args = pipe.recv()
            _, status = os.waitpid(_fork(lambda args=args: one(args)), 0)
            pipe.send({"ended": os.waitstatus_to_exitcode(status)})


def _fork(act: Callable[[], None]) -> int:
    """The id of a forked process that does this and ends, at the latest with this one."""
    parent = os.getpid()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which were looked for
        pid = os.fork()
    if not pid:
        _act(act, parent)
    return pid


def _act(act: Callable[[], None], parent: int) -> NoReturn:
    code = 1
    try:
        tied.tie(parent)
        act()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)  # no exit handlers: they belong to the parent


def threads_left() -> str:
    """End the idle threads of libraries, which start new ones when they need them; what others go on, in words.

    A fork has only the thread that forked, and libgomp would wait for its own for ever. OpenBLAS ends its own before a
    fork (``memory.c``, ``pthread_atfork``), so one that does nothing comes first. PyTorch's second pool, of as many
    threads as it is set to, is made anew in a fork by itself (``pthreadpool-cpp.cc``, ``child_atfork``).
    """
    for library in dict.fromkeys(OPENMP.findall(text_or_nothing(Path("/proc/self/maps")))):
        if pause := getattr(ctypes.CDLL(library), "omp_pause_resource_all", None):
            pause(HARD)
    tqdm.monitor_interval = 0  # no new thread that looks after the progress bars
    if tqdm.monitor:
        tqdm.monitor.exit()
    os.waitpid(_fork(lambda: None), 0)
    deadline = time.monotonic() + ENDING_S
    while (left := _needed()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return f"{len(left)} threads go on ({', '.join(sorted(set(left)))})" if left else ""


def _needed() -> list[str]:
    """The names of the other threads, where there are more than a fork can do without."""
    if python := [one.name for one in threading.enumerate() if one is not threading.current_thread()]:
        return python
    found = [task for task in Path("/proc/self/task").glob("*") if task.name != str(os.getpid())]
    beyond = len(found) - (torch.get_num_threads() - 1)
    if beyond <= 0 or (beyond == 1 and _has_idle_onnxruntime()):
        return []
    return [text_or_nothing(task / "comm").strip() for task in found]


def _has_idle_onnxruntime() -> bool:
    """Whether ONNX Runtime was imported (diffusers does), which starts a thread, and has no session that needs one."""
    if not (onnxruntime := sys.modules.get("onnxruntime")):
        return False
    return not any(type(one) is onnxruntime.InferenceSession for one in gc.get_objects())


def hold_allocator() -> bool:
    """Have glibc give back what is free now, and every block of 128 KiB and more when it is freed from now on.

    By itself it raises that limit as it goes, up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD), and what it then keeps
    depends on all that came before: the same call on the same weights took up to 12 % more after one load than after
    another, and a call that gets such a block needs, as it seems, less. Returns whether the C library is such.
    """
    library = ctypes.CDLL(None)
    mallopt, trim = (getattr(library, name, None) for name in ("mallopt", "malloc_trim"))
    return bool(mallopt and trim and mallopt(M_MMAP_THRESHOLD, 128 << 10) and trim(0) >= 0)
