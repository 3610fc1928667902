"""Files: written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from mic2e_bench.errors import BadInput


class CannotWrite(BadInput):
    """A folder that cannot be written, or a disk that is full."""


def write_whole(path: Path, content: bytes) -> None:
    """Replace ``path`` atomically. Raises ``CannotWrite`` where the folder cannot be written or the disk is full."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as part:
            try:
                part.write(content)
                part.flush()
                os.fsync(part.fileno())
                os.chmod(part.name, 0o644)
                os.replace(part.name, path)
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> CannotWrite:
    """What to tell a person whose disk is full or whose folder cannot be written."""
    return CannotWrite(f"cannot write {path}: {error.strerror}. Give a folder that can be written: --results DIR.")
