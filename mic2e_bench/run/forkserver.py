"""Children from a fork server that has imported the libraries once: a child starts in a tenth of a second.

Where no process can be forked that uses the GPU, children are spawned; so are those whose OpenMP waits otherwise than
the server's, which has read that when it loaded the library.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import multiprocessing
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mic2e_bench import files
from mic2e_bench.catalog.toggles import wait_policy
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import fork_safety, memory_left, surroundings, tied, visible

why_spawned: list[str] = []  # reasons to spawn children; empty where they are forked
_children: weakref.WeakSet[Any] = weakref.WeakSet()


@functools.cache
def context() -> Any:
    """How children are made: forked from a server with the heavy imports preloaded, or spawned (see ``spawn_instead``).

    The server is a fresh process: that this one may have CUDA in use does not matter to it. It must not start CUDA
    itself, or its forks could not use it (see ``fork_safety``); children then ask NVML whether there is a device.
    """
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    visible.look()  # it makes CUDA number the devices as the driver does
    memory_left.oom_kills_at_start()  # what it counts from now on may be of our children
    if "forkserver" not in multiprocessing.get_all_start_methods():
        spawn_instead("this platform has no fork server")
    if why_spawned:
        return multiprocessing.get_context("spawn")
    surroundings.name_user()
    first = ["mic2e_bench.machine.tied_on_import"] if threading.current_thread() is threading.main_thread() else []
    forkserver.set_forkserver_preload([*first, "mic2e_bench.run.preload"])
    os.environ["MIC2E_BENCH_FORK_SERVER_OF"] = str(os.getpid())
    with surroundings.without_interrupts(), surroundings.short_sockets():
        forkserver.ensure_running()
    return multiprocessing.get_context("forkserver")


def spawn_instead(reason: str) -> None:
    """From now on every child is a fresh interpreter that imports the libraries itself. Says so, once."""
    why_spawned.append(reason)
    print(
        f"{reason}: no process can be forked that uses the GPU. Each build starts an interpreter of its own instead, "
        "which takes some 10 to 20 s longer; the measurements are the same.",
        file=sys.stderr,
    )


def start_method(policy: str = "default") -> str:
    """``fork`` or ``spawn``: how a child with this ``wait_policy`` is made."""
    return "spawn" if why_spawned or not wait_policy.is_own(policy) else "fork"


def start() -> float:
    """Start the server; returns the seconds until its first child answered, which is one import of the libraries.

    Where that child finds that the server has started CUDA, the server is ended and children are spawned from now on.
    Raises ``BadInput`` where the libraries cannot be imported.
    """
    begin = time.perf_counter()
    receiving, sending = context().Pipe(duplex=False)
    process = _started(target=_first_words, args=(sending,))
    sending.close()
    words = receive(receiving)
    process.join()
    if words and words["started"] and not why_spawned:
        os.kill(words["server"], signal.SIGKILL)  # its CUDA context takes memory of the card
        spawn_instead(words["started"])
        context.cache_clear()
    return time.perf_counter() - begin


def _started(policy: str = "default", is_fresh: bool = False, **arguments: Any) -> Any:
    """A process of these arguments and this ``wait_policy``. One server that has died (it is large) is started anew."""
    made_by = multiprocessing.get_context("spawn") if is_fresh or not wait_policy.is_own(policy) else context()
    for _ in range(2):
        process = made_by.Process(**arguments)
        # a spawned child inherits what this process blocks; a server is waited for, and Ctrl-C ends that
        spawned = made_by.get_start_method() == "spawn"
        quiet = surroundings.without_interrupts() if spawned else contextlib.nullcontext()
        dead = contextlib.suppress(EOFError, ConnectionError)
        with dead, surroundings.without_main(), quiet, wait_policy.put(policy):
            process.start()
            _children.add(process)
            return process
    raise BadInput(
        "the process that imports the libraries (torch, diffusers, transformers) ended by itself, twice; its last "
        "words, if any, are above. mic2e-bench doctor says which library does not work here and what memory is free."
    )


@atexit.register
def _end_children() -> None:
    """An interrupt may come before a child has an owner that ends it: this process does not wait for such a one."""
    for process in list(_children):
        if process.is_alive():
            process.kill()


def call(target: Callable, log: Path, *args: Any, policy: str = "default", is_fresh: bool = False) -> tuple:
    """Start ``target(*args, pipe)`` in a child that prints to ``log``; returns the process and this end of its pipe.

    It has this ``wait_policy``; one that ``is_fresh`` imports the libraries itself. Raises ``files.CannotWrite``.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    except OSError as error:
        raise files.cannot_write(log, error) from None
    receiving, sending = context().Pipe()
    # no daemon: it may have to start processes of its own (``per_call``), which Python forbids to those
    process = _started(policy, is_fresh, target=_logged, args=(log, target, *args, sending))
    sending.close()
    return process, receiving


def receive(pipe: Connection) -> Any:
    """The next message, or ``None`` where the child is gone."""
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return None


def _logged(log: Path, target: Callable[..., None], *args: Any) -> None:
    tied.tie(os.getppid())
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    target(*args)


def _first_words(pipe: Connection) -> None:
    """The first child's work: to say what it was forked from."""
    pipe.send({"server": os.getppid(), "started": fork_safety.started()})
