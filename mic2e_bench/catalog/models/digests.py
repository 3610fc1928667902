"""Digests of whole files. Large ones are read once: what they were is kept from run to run in the user's cache folder.

A file is the same as long as its device, inode, size and both times are; a copy that keeps the older time
(``cp -p``) changes the newer one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mic2e_bench import files, paths
from mic2e_bench.errors import BadInput

CHUNK_BYTES = 64 << 20  # a file above this is the digest of its chunks' digests, which are made side by side
PIECE_BYTES = 1 << 20
KEEP_FROM_BYTES = 16 << 20  # what is smaller is read again: that takes no time
MOST_KEPT = 10_000
LARGEST_CACHE_BYTES = 16 << 20
SETTLED_S = 2.0  # a file that changed later than this before it was read can change again and keep its time
TOLD_FROM_BYTES = 4 << 30
DIGEST = re.compile(r"[0-9a-f]{64}")
_known: dict[str, str] = {}  # by ``_identity``, in this process


def of(wanted: Sequence[Path]) -> list[bytes]:
    """The digest of each file: the SHA-256 of its content, above ``CHUNK_BYTES`` that of its chunks' SHA-256.

    Raises ``BadInput`` for a file that cannot be read, or that changes while it is.
    """
    begin = time.time()
    try:
        stats = {path: path.stat() for path in wanted}
        large = [path for path in stats if stats[path].st_size >= KEEP_FROM_BYTES]
        if any(_identity(stats[path]) not in _known for path in large):
            _known.update(_kept())
        unknown = [path for path in stats if _identity(stats[path]) not in _known]
        made = _read(unknown, stats)
        changed = [path for path in unknown if _identity(path.stat()) != _identity(stats[path])]
    except OSError as error:
        raise BadInput(f"{error.filename}: cannot be read: {error.strerror}.") from None
    if changed:
        raise BadInput(f"{changed[0]} changes while it is read: wait until it is written.")
    new = {_identity(stats[path]): digest for path, digest in made.items() if begin - stats[path].st_ctime > SETTLED_S}
    _known.update(new)
    _keep({_identity(stats[path]): _known[_identity(stats[path])] for path in large if _identity(stats[path]) in new})
    return [bytes.fromhex(made.get(path) or _known[_identity(stats[path])]) for path in wanted]


def _identity(stat: os.stat_result) -> str:
    return f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}"


def _read(unknown: Sequence[Path], stats: dict[Path, os.stat_result]) -> dict[Path, str]:
    """The digests of files that were not read yet, their chunks side by side, with a bar where a person waits."""
    from tqdm import tqdm

    chunks = [(path, start) for path in unknown for start in range(0, stats[path].st_size or 1, CHUNK_BYTES)]
    total = sum(stats[path].st_size for path in unknown)
    if total >= TOLD_FROM_BYTES:
        print(f"reading {total / 2**30:.1f} GiB of weights for their identity, this once", file=sys.stderr)
    parts: dict[Path, list[bytes]] = {path: [] for path in unknown}
    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    try:
        # delay, None: no bar where it takes no time, or where there is no terminal
        with tqdm(desc="weights", unit="B", unit_scale=True, total=total, leave=False, disable=None, delay=2) as bar:
            for (path, _), (digest, size) in zip(chunks, pool.map(_chunk, chunks), strict=True):
                parts[path].append(digest)
                bar.update(size)
    finally:
        pool.shutdown(cancel_futures=True)
    return {path: _joined(digests).hex() for path, digests in parts.items()}


def _chunk(chunk: tuple[Path, int]) -> tuple[bytes, int]:
    """The digest of a chunk of a file, and its bytes."""
    (path, start), digest, left = chunk, hashlib.sha256(), CHUNK_BYTES
    with path.open("rb") as file:
        file.seek(start)
        while left and (piece := file.read(min(PIECE_BYTES, left))):
            digest.update(piece)
            left -= len(piece)
    return digest.digest(), CHUNK_BYTES - left


def _joined(digests: Sequence[bytes]) -> bytes:
    return digests[0] if len(digests) == 1 else hashlib.sha256(b"".join(digests)).digest()


def _kept() -> dict[str, str]:
    """What earlier processes found; nothing where the file cannot be read or is not what was written."""
    try:
        path = paths.cache() / "digests.json"
        found = json.loads(path.read_bytes()) if path.stat().st_size <= LARGEST_CACHE_BYTES else {}
    except (OSError, ValueError, RecursionError, RuntimeError):  # the last: there is no home
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str) and DIGEST.fullmatch(value)}


def _keep(new: dict[str, str]) -> None:
    """Add to what is kept; where that cannot be written it is read again another time."""
    if not new:
        return
    kept = list({**_kept(), **new}.items())[-MOST_KEPT:]
    with contextlib.suppress(BadInput, OSError, RuntimeError):
        files.write_whole(paths.cache() / "digests.json", json.dumps(dict(kept)).encode())
