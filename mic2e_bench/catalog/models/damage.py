"""Whether a file of a model is whole, as far as that is seen without reading it all."""

from __future__ import annotations

import functools
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mic2e_bench.catalog.models.walk import File
from mic2e_bench.errors import BadInput

GIT_LFS = b"version https://git-lfs.github.com/spec/"
SMALL_BYTES = 512  # more than the text of a link between bundled models
LARGEST_HEADER_BYTES = 100 << 20  # safetensors' own limit


def check(folder: Path, found: Iterable[File], where: str) -> None:
    """Raise ``BadInput`` naming the first of a folder's files that is not whole, and what to do.

    What is hidden, or in a hidden folder, is other programs': no library loads it.
    """
    for file in found:
        hidden = any(part.startswith(".") for part in file.name.parts)
        if not hidden and (problem := of(file.path, folder)):
            raise BadInput(f"{where}: model: {problem}")


def of(path: Path, folder: Path) -> str:
    """What is wrong with one file of a model's folder, in one line; empty where nothing is seen to be."""
    try:
        about = path.stat()
    except OSError as error:
        if not path.is_symlink():
            return f"{folder} is not a whole model: {path} cannot be read: {error.strerror}."
        return (
            f"{path} is a link to {os.readlink(path)}, which is not there: copy the models with what they link to "
            "(cp -rL), or put the missing file back."
        )
    try:
        problem = _of(path, about.st_mode, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    if problem.startswith("the text of a link"):  # files that bundled models have in common are links
        return (
            f"{path} is no file of a model but {problem}, as a checkout without symbolic links leaves it: git config "
            f"core.symlinks true, then git checkout -f -- {folder}; or put a copy of {path.read_text().strip()} in its "
            "place."
        )
    return f"{folder} is not a whole model: {path} {problem}." if problem else ""


@functools.lru_cache(maxsize=4096)
def _of(path: Path, mode: int, size: int, *times: int) -> str:
    if not stat.S_ISREG(mode):
        return "is no regular file"
    if path.suffix in (".json", ".safetensors", ".model") and not size:
        return "is empty"
    if size < SMALL_BYTES:
        content = path.read_bytes()
        if content.startswith(GIT_LFS):
            return "is what Git LFS has in the place of a file: git lfs pull, or download it again"
        if path.suffix in (".json", ".safetensors") and content.startswith(b"../"):
            return "the text of a link"
    if path.suffix == ".json":
        return _json(path)
    return _safetensors(path, size) if path.suffix == ".safetensors" else ""


def _json(path: Path) -> str:
    try:
        json.loads(path.read_bytes())
    except UnicodeDecodeError:
        return "is not JSON: not UTF-8"
    except (ValueError, RecursionError) as error:
        return f"is not JSON: {error}"
    return ""


def _safetensors(path: Path, size: int) -> str:
    """What the header says against the size: eight bytes of its length, itself, then the tensors to the last byte."""
    length = _header_bytes(path)
    if size < 8 or length > LARGEST_HEADER_BYTES:
        return "is not a safetensors file"
    if 8 + length > size:
        return f"is cut short: {size:,} bytes, and its header alone has {8 + length:,}; download it again"
    try:
        ends = [entry["data_offsets"][1] for entry in _entries(path).values() if "data_offsets" in entry]
        wanted = 8 + length + max(ends, default=0)
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError):
        return "is not a safetensors file: its header cannot be read"
    if wanted > size:
        return f"is cut short: {size:,} of {wanted:,} bytes; download it again"
    return f"has {size - wanted:,} bytes after its last tensor; download it again" if wanted < size else ""


def _header_bytes(path: Path) -> int:
    with path.open("rb") as file:
        return int.from_bytes(file.read(8), "little")


def _entries(path: Path) -> dict[str, Any]:
    """What the header of a safetensors file says of each tensor."""
    with path.open("rb") as file:
        header = json.loads(file.read(8 + _header_bytes(path))[8:])
    return {name: entry for name, entry in header.items() if name != "__metadata__"}


def tensors(path: Path) -> int:
    """How many tensors a whole safetensors file has."""
    return len(_entries(path))
