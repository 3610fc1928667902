"""The pictures of both sides, of the same input and seed: kept, and how far apart they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mic2e_bench import files
from mic2e_bench.catalog.metrics import similarity
from mic2e_bench.tools.throughput.peers.http import picture

LEVELS = 255


def compare(looked: Mapping[str, Any], theirs: bytes, stem: Path, where: str) -> dict[str, Any]:
    """Write the pictures beside ``stem`` and compare them at the size of ours, to which theirs is brought.

    ``as_measured``, and ``of_mean`` where ours is made once more with the mean of the autoencoder's distribution:
    ``psnr_db`` (100 for equal ones) and ``most`` of 255 that any value differs by.
    Raises ``PeerError``, ``CannotWrite``.
    """
    from PIL import Image

    found: dict[str, Any] = {}
    other = picture(theirs, where)
    for name, content in (("picture", looked["picture"]), ("of_mean", looked.get("of_mean")), ("theirs", theirs)):
        if content is not None:
            path = stem.with_name(f"{stem.name}-{name}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_whole(path, content, through_links=False)
            found[name] = {"file": path.name, "sha256": hashlib.sha256(content).hexdigest()}
    for name, key in (("as_measured", "picture"), ("with_the_mean", "of_mean")):
        if looked.get(key) is not None:
            mine = picture(looked[key], "ours")
            same = other if other.size == mine.size else other.resize(mine.size, Image.Resampling.BICUBIC)
            found[name] = {**_difference(np.asarray(mine), np.asarray(same)), "resized": other.size != mine.size}
    return found


def _difference(mine: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    most = int(np.abs(mine.astype(int) - other.astype(int)).max())
    return {"psnr_db": similarity.psnr(mine / LEVELS, other / LEVELS), "most": most}
