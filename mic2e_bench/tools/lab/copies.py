"""Working copies of the notebooks: what a person opens, so that those under version control stay as they are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mic2e_bench import files, paths
from mic2e_bench.errors import BadInput

FOLDER = "lab"  # in the workbench's root, ignored by git
KEY = "mic2e_bench"  # in a copy's metadata: the hash of the sources that it was copied with


def folder() -> Path:
    """The folder of the copies and of params files that widgets write. Raises ``BadInput`` where it cannot be."""
    found = paths.root() / FOLDER
    try:
        found.mkdir(exist_ok=True)
        probe = found / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise BadInput(
            f"{found}: {error.strerror}. The notebooks are opened as copies in that folder: make it writable, "
            "or start from a workbench that is."
        ) from None
    return found


def make() -> list[str]:
    """Copy every tracked notebook, anew where it changed and its copy was not edited; returns what is to be said.

    Raises ``BadInput`` where there are none, or where no copy can be written.
    """
    originals = sorted((paths.root() / "notebooks").glob("*.ipynb"))
    if not originals:
        raise BadInput(f"{paths.root()} has no notebooks: start in the workbench's folder.")
    target = folder()
    return [said for original in originals if (said := _copy(original, target / original.name))]


def _copy(original: Path, copy: Path) -> str:
    """Make one copy, or leave it; returns why an older one was left."""
    written = files.read_json(original)
    now = _digest(written)
    there = _read(copy)
    if there is not None:
        made_from = there.get("metadata", {}).get(KEY)
        if made_from == now and made_from == _digest(there):
            return ""  # its outputs stay
        if made_from != _digest(there):
            newer = "" if made_from == now else f"; notebooks/{copy.name} has changed since"
            return f"{FOLDER}/{copy.name}: you edited it, so it is kept{newer}. Remove it for a fresh copy."
    written["metadata"] = {**written["metadata"], KEY: now}
    files.write_whole(copy, files.as_json(written), through_links=False)
    return ""


def _read(path: Path) -> dict[str, Any] | None:
    """What a copy holds; ``None``: there is none. One that cannot be read was edited, too."""
    if not path.exists():
        return None
    try:
        content = files.read_json(path)
        _digest(content)
        return content
    except (BadInput, ValueError, TypeError, KeyError, AttributeError, OSError):
        return {"cells": [], "metadata": {}}


def _digest(notebook: dict[str, Any]) -> str:
    """A hash of what a person writes in a notebook: kinds and sources of its cells, never outputs."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]
