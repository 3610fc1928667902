"""Files that bundled models have in common lie in the first folder that has them; the others link to it."""

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

LEAST_BYTES = 16 << 10  # smaller files are not worth a link
SUFFIXES = (".safetensors", ".json")


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No other process is in such a block for this folder: trainings of several models may run side by side."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def share(models: Iterable[Path]) -> None:
    """Replace files that are equal to one of an earlier model by relative links to that.

    A file system without links keeps the copies.
    """
    owners: dict[tuple[int, bytes], Path] = {}
    for path in _large(models):
        if path.is_symlink():
            continue
        with path.open("rb") as file:
            content = path.stat().st_size, hashlib.file_digest(file, "sha256").digest()
        owner = owners.setdefault(content, path)
        if owner != path:
            with contextlib.suppress(OSError):
                target = os.path.relpath(owner, path.parent)
                _replace(path, lambda fresh, target=target: fresh.symlink_to(target))


def disown(model: Path, models: Iterable[Path]) -> None:
    """Give ``models`` copies of what they link to in the folder ``model``, which may then be replaced or deleted."""
    for path in _large(models):
        if path.is_symlink() and path.resolve().is_relative_to(model.resolve()):
            _replace(path, functools.partial(shutil.copyfile, path))


def _large(models: Iterable[Path]) -> Iterator[Path]:
    """The files of models, and links to files, that are worth a link."""
    for model in models:
        for path in sorted(model.rglob("*")):
            if path.suffix in SUFFIXES and path.is_file() and path.stat().st_size > LEAST_BYTES:
                yield path


def _replace(path: Path, make: Callable[[Path], object]) -> None:
    """Put what ``make`` makes in the place of ``path``; what a link leads to is not written."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)  # a killed process left it
    make(fresh)
    os.replace(fresh, path)
