"""What lies in a folder, and what leads out of it: names and links are data that anybody may have written."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path


def is_outside(path: Path, folder: Path) -> bool:
    """Whether a path, with all links of both resolved, leads out of a folder."""
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def links_out(folder: Path, *inner: str) -> list[str]:
    """A line for each folder in a folder, and in these of its folders, that is a link out of it."""
    places = [folder, *(folder / name for name in inner)]
    there = [path for place in places if place.is_dir() for path in place.iterdir()]
    found = sorted(path for path in there if path.is_dir() and is_outside(path, folder))
    return [f"{path} is a link out of {folder}: nothing is read there" for path in found]


def check(file: Path, names: Iterable[str]) -> None:
    """A file and those that it names lie in its folder, and they are files. Raises ``ValueError``.

    What is missing may be. ``names`` are relative to the folder; most are ``images/NAME``, for which there is a short
    way, because there are thousands of them.
    """
    folder, pictures = str(file.parent), os.path.join(file.parent, "images")
    if stat.S_ISLNK(_mode(str(file))) and is_outside(file, file.parent):
        raise ValueError("it is a link out of its study's folder")
    has_plain = not stat.S_ISLNK(_mode(pictures))
    for name in names:
        if not 0 < len(name) < 1000 or "\0" in name:
            raise ValueError(f"it names a file that cannot be: {name[:100]!r}")
        path = os.path.join(folder, name)
        mode = _mode(path)
        if has_plain and os.path.dirname(path) == pictures and (stat.S_ISREG(mode) or not mode):
            continue
        if is_outside(Path(path), file.parent):
            raise ValueError(f"it names a file outside its folder: {name[:100]!r}")
        if os.path.lexists(path) and not os.path.isfile(path):
            raise ValueError(f"it names what is no file: {name[:100]!r}")


def _mode(path: str) -> int:
    """What there is, links not followed; 0 where there is nothing."""
    try:
        return os.lstat(path).st_mode
    except (OSError, UnicodeEncodeError):
        return 0
