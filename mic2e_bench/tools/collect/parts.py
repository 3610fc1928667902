"""The packed files: what is in one, how they are written whole, and how they are read without trusting them.

``results-01.tar.gz``, ``results-02.tar.gz``...: each has ``manifest.json`` first (its number, how many there are, size
and SHA-256 of every file), then ``STUDY/ID.json`` with ``STUDY/images/*.png`` beside it in the same part; the first
part also has ``doctor.txt`` and ``logs/STUDY.log``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mic2e_bench.errors import BadInput
from mic2e_bench.files import write_whole

NAME = re.compile(r"results-(\d\d)\.tar\.gz")
PICTURE = re.compile(r"images/[0-9a-f]{20}\.png")
MANIFEST = "manifest.json"
FORMAT = "mic2e-bench results 1"
MEMBER_BYTES = 64 << 20  # the most of one file that is read
ALL_BYTES = 512 << 20  # the most of all files of all parts
HEADER_BYTES = 1024  # that a file adds to a part, at most: its header in the archive and its line in the manifest

Files = Mapping[str, bytes]


def name(number: int) -> str:
    return f"results-{number:02}.tar.gz"


def write(path: Path, number: int, count: int, files: Files) -> bytes:
    """Write one part in one step; the same files make the same bytes. Returns them."""
    listed = {key: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
              for key, content in files.items()}  # fmt: skip
    manifest = {"format": FORMAT, "part": number, "of": count, "files": listed}
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, compresslevel=6, filename="") as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for key, content in {MANIFEST: json.dumps(manifest, indent=1).encode(), **files}.items():
            member = tarfile.TarInfo(key)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    write_whole(path, packed.getvalue())
    return packed.getvalue()


def packed_bytes(key: str, content: bytes) -> int:
    """What a file adds to a part, at most."""
    own = len(content) if key.endswith(".png") else len(zlib.compress(content, 6))
    return own + HEADER_BYTES


def read_all(folder: Path, take: Callable[[str, bytes], None]) -> None:
    """Hand every file of all parts in ``folder`` to ``take(name, content)``, each checked against its manifest.

    Where a part was replaced while the folder was copied, a file may come twice. Raises ``BadInput`` for parts that are
    missing, damaged, cut short or too large, and for whatever is no plain file.
    """
    numbers = {int(found[1]): path for path in sorted(folder.iterdir()) if (found := NAME.fullmatch(path.name))}
    if not numbers:
        raise BadInput(f"{folder}: no parts there. Give the folder of run --pack-results: it has {name(1)}.")
    left, count = ALL_BYTES, None
    for number, path in sorted(numbers.items()):
        limited = _Limited(path, left)
        try:
            manifest = _read(path, number, limited, take)
        except BadInput:
            raise
        except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError) as error:
            raise BadInput(f"{path}: damaged or cut short ({error or type(error).__name__}). Copy it again.") from None
        left = limited.left
        count = manifest["of"] if number == 1 else count
    missing = [name(number) for number in range(1, (count or 1) + 1) if number not in numbers]
    if missing:
        raise BadInput(f"{folder}: {', '.join(missing)} of {count or 'the'} parts missing. Copy what is missing.")


def _read(path: Path, number: int, limited: _Limited, take: Callable[[str, bytes], None]) -> dict[str, Any]:
    """One part; returns its manifest."""
    manifest, waiting = None, {}
    with limited, tarfile.open(fileobj=limited, mode="r|") as archive:
        for member in archive:
            if not member.isreg():
                raise BadInput(f"{path}: '{member.name}' is a link, a folder or a device: no pack has those.")
            if member.size > MEMBER_BYTES:
                raise BadInput(f"{path}: '{member.name}' has {member.size} bytes; {MEMBER_BYTES} are the most.")
            content = archive.extractfile(member).read()
            if manifest is None:
                manifest = _manifest(path, number, member.name, content)
                waiting = dict(manifest["files"])
                continue
            wanted = waiting.pop(member.name, None)
            if wanted is None:
                raise BadInput(f"{path}: '{member.name}' is not in its manifest.")
            if len(content) != member.size or hashlib.sha256(content).hexdigest() != wanted["sha256"]:
                raise BadInput(f"{path}: '{member.name}' is damaged: it is not what its manifest says. Copy it again.")
            take(member.name, content)
    if manifest is None or waiting:
        raise BadInput(f"{path}: damaged or cut short: it lacks {next(iter(waiting), MANIFEST)}. Copy it again.")
    return manifest


def _manifest(path: Path, number: int, name: str, content: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(content) if name == MANIFEST else None
        whole = manifest["format"] == FORMAT and manifest["part"] == number and number <= manifest["of"] < 100
        if whole and all(isinstance(one["sha256"], str) for one in manifest["files"].values()):
            return manifest
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        pass
    raise BadInput(f"{path}: no part {number} of packed results: no manifest that says so.")


class _Limited(gzip.GzipFile):
    """A packed file's content, of which no more than ``left`` bytes are unpacked."""

    def __init__(self, path: Path, left: int) -> None:
        super().__init__(path)
        self.path, self.left = path, left

    def read(self, size: int = -1) -> bytes:
        content = super().read(min(size, self.left + 1) if size >= 0 else self.left + 1)
        self.left -= len(content)
        if self.left < 0:
            raise BadInput(f"{self.path}: unpacks to more than {ALL_BYTES >> 20} MiB with the other parts: refused.")
        return content


def chunks(bundles: Mapping[str, int], most: int) -> Iterator[list[str]]:
    """Bundles (with their packed sizes) in their order, as many together as ``most`` bytes hold."""
    chunk: list[str] = []
    left = most - 2 * HEADER_BYTES
    for key, size in bundles.items():
        if chunk and size > left:
            yield chunk
            chunk, left = [], most - 2 * HEADER_BYTES
        chunk.append(key)
        left -= size
    if chunk:
        yield chunk
