"""What libraries and child processes expect of a process's surroundings, where those are otherwise."""

from __future__ import annotations

import contextlib
import getpass
import multiprocessing.util
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker
from pathlib import Path

LONGEST_FOLDER = 60  # characters; the kernel takes 107 of a socket's path, and its name comes on top
SHORTER = ("/tmp", "/var/tmp", "/dev/shm")


def name_user() -> None:
    """Give a user without a name the folders that libraries name after it; a process that is started inherits them."""
    try:
        getpass.getuser()
    except (KeyError, OSError):  # docker run --user 20003; OpenShift
        place = Path(tempfile.gettempdir()) / f"mic2e-bench-{os.getuid()}"
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(place / "inductor"))
        os.environ.setdefault("USER", str(os.getuid()))
    if not os.path.isabs(os.path.expanduser("~")):
        os.environ["HOME"] = str(Path(tempfile.gettempdir()) / f"mic2e-bench-{os.getuid()}")


@contextlib.contextmanager
def short_sockets() -> Iterator[None]:
    """In the block processes find a folder whose sockets have names short enough, where ``TMPDIR`` is too long."""
    before = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) > LONGEST_FOLDER:
        tempfile.tempdir = next((place for place in SHORTER if os.access(place, os.W_OK)), before)
    try:
        multiprocessing.util.get_temp_dir()  # made once for a process
        yield
    finally:
        tempfile.tempdir = before


@contextlib.contextmanager
def without_interrupts() -> Iterator[None]:
    """Processes started in the block do not hear of Ctrl-C; this one answers it at the end of the block."""
    if threading.current_thread() is not threading.main_thread():  # Python sets handlers in the main thread only
        yield
        return
    resource_tracker.ensure_running()  # what starts it unblocks the signal
    came: list[int] = []  # what another thread has taken, in which it is not blocked
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # processes inherit it
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if came:
            signal.raise_signal(signal.SIGINT)


@contextlib.contextmanager
def without_main() -> Iterator[None]:
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
