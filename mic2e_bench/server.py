"""Children from a fork server that has imported the libraries once: a child starts in a tenth of a second."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mic2e_bench import environment, record
from mic2e_bench.errors import BadInput
from mic2e_bench.trial import Trial


@functools.cache
def context() -> Any:
    """The ``forkserver`` context with the heavy imports preloaded.

    The server must not touch CUDA: PyTorch then asks NVML whether there is a device, instead of starting a context
    that a fork would break.
    """
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    # waiting threads sleep instead of spinning: on a machine with other work a call is else up to ten times slower
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mic2e_bench.preload"])
    oom_kills_at_start()
    with _without_interrupts():
        forkserver.ensure_running()
    return context


@functools.cache
def oom_kills_at_start() -> int:
    """The kernel's count of out-of-memory kills when the first child was started."""
    return environment.oom_kills()


def start() -> float:
    """Start the server; returns the seconds until its first child answered, which is one import of the libraries.

    Raises ``BadInput`` where the libraries cannot be imported.
    """
    begin = time.perf_counter()
    _started(target=_nothing).join()
    return time.perf_counter() - begin


def _started(**arguments: Any) -> Any:
    """A process of these arguments. A server that has died (it is large, and memory runs out) is started anew, once."""
    for _ in range(2):
        process = context().Process(**arguments)
        with contextlib.suppress(EOFError, ConnectionError), _without_main():
            process.start()
            return process
    raise BadInput(
        "the process that imports the libraries (torch, diffusers, transformers) ended by itself, twice; its last "
        "words, if any, are above. mic2e-bench doctor says which library does not work here and what memory is free."
    )


def child(trials: list[Trial], images: Path, log: Path) -> tuple[Any, Connection]:
    """Start a worker for trials that share a build; what it prints goes to ``log``."""
    return call(_worker, log, trials, images)


def call(target: Callable[..., None], log: Path, *args: Any) -> tuple[Any, Connection]:
    """Start ``target(*args, pipe)`` in a child; returns the process and this end of its pipe.

    Raises ``record.CannotWrite`` for a log that cannot be written.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    except OSError as error:
        raise record.cannot_write(log, error) from None
    receiving, sending = context().Pipe()
    process = _started(target=_logged, args=(log, target, *args, sending), daemon=True)
    sending.close()
    return process, receiving


def receive(pipe: Connection) -> Any:
    """The next message, or ``None`` where the child is gone."""
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return None


def _worker(trials: list[Trial], images: Path, pipe: Connection) -> None:
    from mic2e_bench import worker

    worker.main(trials, images, pipe)


def _logged(log: Path, target: Callable[..., None], *args: Any) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    target(*args)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes started in the block ignore Ctrl-C, which is for this process alone to answer."""
    if threading.current_thread() is not threading.main_thread():  # Python sets handlers in the main thread only
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _nothing() -> None:
    """The first child's work: to exist."""


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Start a child that does not import the caller's main module again.

    It needs nothing of it, and a script without a ``__main__`` guard would run twice.
    """
    main = sys.modules["__main__"]
    kept = {name: vars(main).pop(name) for name in ("__file__", "__spec__") if name in vars(main)}
    main.__spec__ = None
    try:
        yield
    finally:
        del main.__spec__
        vars(main).update(kept)
