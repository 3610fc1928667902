"""The files that a comparison is written to: looked at before anything is compared, so that no wait is for nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mic2e_bench import files
from mic2e_bench.errors import BadInput

STDOUT = Path("-")


def check(targets: Mapping[str, Path]) -> None:
    """``targets`` by their options. Raises ``BadInput`` for one that cannot be written, and for one given twice."""
    seen: dict[str, str] = {}
    for option, path in targets.items():
        if path != STDOUT and (said := _problem(path)):
            raise BadInput(f"{option} {path}: cannot be written: {said}. Give a file in a folder that can be written.")
        is_file = path == STDOUT or os.path.isfile(path) or not os.path.exists(path)  # a device may be given twice
        real = str(path) if path == STDOUT else os.path.realpath(path)
        if is_file and (other := seen.setdefault(real, option)) != option:
            raise BadInput(f"{other} and {option}: each needs a file of its own; given twice: {path}.")


def _problem(path: Path) -> str:
    """Why a file cannot be written there; empty where it can."""
    if path.is_dir():
        return "it is a folder"
    if os.path.exists(path) and not os.path.isfile(path):
        return ""
    folder = Path(os.path.realpath(path)).parent
    while not os.path.lexists(folder):
        folder = folder.parent
    if not folder.is_dir():
        return f"{folder} is not a folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"nothing can be written in {folder}"


def write(option: str, path: Path, content: bytes) -> None:
    """Raises ``BadInput`` naming the option."""
    try:
        files.write_whole(path, content)
    except files.CannotWrite as error:
        why = error.__cause__.strerror if isinstance(error.__cause__, OSError) else error
        raise BadInput(
            f"{option} {path}: cannot be written: {why}. Give a file in a folder that can be written."
        ) from None


def address(page: Path | None, of: Path | None) -> str:
    """Where a page lies as seen from another file; nothing where one of the two is no file."""
    if page is None or of is None or STDOUT in (page, of):
        return ""
    from urllib.parse import quote

    return quote(
        os.path.relpath(os.path.abspath(page), os.path.dirname(os.path.abspath(of))).encode(errors="surrogateescape")
    )
