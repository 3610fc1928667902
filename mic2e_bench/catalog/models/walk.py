"""The files of a model's folder that can have a part in the work, through links too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from mic2e_bench.errors import BadInput

READ = (".json", ".safetensors", ".txt", ".model", ".jinja")  # configurations, weights, vocabularies, templates
# not read by what is measured today, and never by accident: weights of other formats, code, older vocabularies
ALSO = (".bin", ".pt", ".pth", ".ckpt", ".gguf", ".py", ".spm", ".bpe", ".tiktoken", ".vocab", ".yaml", ".yml")
NOT_READ = "evaluation.json"  # what the training of a bundled model was worth
MOST = 50_000  # entries of a folder that can be a model


class File(NamedTuple):
    """``name`` is the path within the folder; ``linked``: it lies beneath a link to a folder."""

    name: Path
    path: Path
    linked: bool


def files(folder: Path) -> list[File]:
    """Every file of ``READ`` and ``ALSO`` in a folder and beneath it, by name; a link that leads round is not followed.

    A link to nothing is among them. Raises ``BadInput`` for a folder that cannot be read or has no end.
    """
    found, seen, waiting = [], 0, [(Path(), False, ())]
    while waiting:
        name, linked, above = waiting.pop()
        try:
            place, entries = _place(folder / name), sorted(os.listdir(folder / name))
        except OSError as error:
            raise BadInput(f"{folder / name}: cannot be read: {error.strerror}.") from None
        if place in above:
            continue
        seen += len(entries)
        if seen > MOST:
            raise BadInput(f"{folder} holds more than {MOST} files: it is no folder of one model.")
        for entry in entries:
            path = folder / name / entry
            if os.path.isdir(path):
                waiting.append((name / entry, linked or path.is_symlink(), (*above, place)))
            else:
                found.append(File(name / entry, path, linked))
    return sorted(file for file in found if _counts(file))


def _place(folder: Path) -> tuple[int, int]:
    stat = folder.stat()
    return stat.st_dev, stat.st_ino


def _counts(file: File) -> bool:
    """Whether its name is that of a file which is read; a link to nothing could be a folder as well."""
    suffix = file.name.suffix
    if not os.path.exists(file.path):  # a hidden one is an editor's lock
        return not file.name.name.startswith(".") and (not suffix or suffix in (*READ, *ALSO))
    return suffix in (*READ, *ALSO) and file.name.name != NOT_READ
