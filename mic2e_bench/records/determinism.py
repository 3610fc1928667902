"""Whether one setting makes one image: the last timed repeat against the image of the same input and seed."""

from __future__ import annotations

from pathlib import Path

from mic2e_bench.records.record import Record


def is_deterministic(record: Record) -> bool | None:
    """Whether every image that was made twice has one hash; ``None`` where nothing was made twice."""
    twice = [one for one in record.images if one.get("again")]
    return all(one["sha256"] == one["again"]["sha256"] for one in twice) if twice else None


def difference(record: Record, folder: Path) -> int | None:
    """The greatest difference of a pixel between images that should be one, of 255; ``folder`` is the study's.

    ``None`` where nothing was made twice. Raises ``OSError`` where an image is gone, ``ValueError`` where the two
    differ in size.
    """
    import numpy as np
    from PIL import Image

    if is_deterministic(record) is not False:
        return None if is_deterministic(record) is None else 0
    worst = 0
    for one in record.images:
        if one.get("again") and one["sha256"] != one["again"]["sha256"]:
            pair = []
            for stored in (one, one["again"]):
                with Image.open(folder / stored["file"]) as picture:
                    pair.append(np.asarray(picture, dtype=np.int16))
            worst = max(worst, int(np.abs(pair[0] - pair[1]).max()))
    return worst
