"""A study's folder as a run holds it: for itself alone, and with what cannot be read set aside."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

from mic2e_bench import files, paths
from mic2e_bench.records import record


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a study for this process; a second runner waits, then finds the first one's records.

    The lock goes with the process however it ends. Raises ``BadInput`` for a folder that cannot be written.
    """
    folder = paths.of_study(folder.parent, folder.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a+")
    except OSError as error:
        raise files.cannot_write(folder, error) from None
    with file:
        files.lock(file, f"{folder.name}: another run is measuring this study; waiting for it to end.")
        yield


def known(path: Path, rerun: bool) -> record.Record | None:
    """The record of a trial that is to be measured, or ``None``. A damaged file is named and moved to ``damaged/``.

    So is one that only a newer version can read, with ``rerun``; else it raises ``record.Newer``.
    """
    try:
        return record.read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except record.Damaged as error:
        if isinstance(error, record.Newer) and not rerun:
            raise
        _set_aside(path, error)
        return None


def _set_aside(path: Path, why: record.Damaged) -> None:
    """Make room for a new record: the old file goes to ``damaged/`` beside it, under a free name, and that is said."""
    folder = path.parent / "damaged"
    names = itertools.chain([path.name], (f"{path.stem}.{number}{path.suffix}" for number in itertools.count(2)))
    try:
        folder.mkdir(exist_ok=True)
        free = next(folder / name for name in names if not (folder / name).exists())
        path.rename(free)
    except OSError as error:
        raise files.cannot_write(folder, error) from error
    print(f"set aside: {why}; it is now {free}", file=sys.stderr)
