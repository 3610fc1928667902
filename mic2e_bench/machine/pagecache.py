"""The kernel's page cache: how much of some files is in memory, and putting them in or out."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterable
from pathlib import Path

CHUNK = 1 << 24


def resident(files: Iterable[Path]) -> float | None:
    """The share of the files' pages that are in memory, 0 to 1; ``None`` where the kernel does not say (mincore)."""
    inside = total = 0
    for path in files:
        if path.stat().st_size:
            pages = _pages(path)
            if pages is None:
                return None
            inside, total = inside + sum(pages), total + len(pages)
    return inside / total if total else None


def _pages(path: Path) -> list[bool] | None:
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        count = -(-len(mapped) // mmap.PAGESIZE)
        vector = (ctypes.c_ubyte * count)()
        start = ctypes.c_char.from_buffer(mapped)
        failed = libc.mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(len(mapped)), vector)
        del start  # or the mapping cannot be closed
        return None if failed else [bool(page & 1) for page in vector]


def evict(files: Iterable[Path]) -> None:
    """Ask the kernel to forget the files' pages; it keeps those that a process has mapped."""
    for path in files:
        with path.open("rb") as file:
            os.fsync(file.fileno())  # a page that is not yet written stays
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(files: Iterable[Path]) -> None:
    """Read the files once, so that their pages are in memory."""
    for path in files:
        with path.open("rb") as file:
            while file.read(CHUNK):
                pass
