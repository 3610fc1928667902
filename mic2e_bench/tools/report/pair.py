"""One large pair of pictures: the baseline's and a setting's, of the first input, and where they differ."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mic2e_bench.report import pixels
from mic2e_bench.tools.recommend.point import Point

SIZE = (520, 520)  # pixels at most, as the page stores them


def of(baseline: Point | None, other: Point | None, masks: bool, page_folder: Path) -> dict[str, Any] | None:
    """What the template shows; ``None`` where one of the pictures is not there."""
    if not baseline or not other or not baseline.record or not other.record or not baseline.record.images:
        return None
    first = baseline.record.images[0]
    key = (first["input"], first["seed"])
    second = next((one for one in other.record.images if (one["input"], one["seed"]) == key), None)
    files = [_file(point, image) for point, image in ((baseline, first), (other, second)) if image]
    pictures = [pixels.read(file, masks) for file in files]
    if len(pictures) < 2 or None in pictures:
        return None
    gain = None if masks else pixels.GAIN
    apart = pixels.difference(pictures[1], pictures[0], masks)
    places = [quote(os.path.relpath(file, page_folder)) for file in files]
    labels = ("baseline", other.label)
    shown = [
        {"label": label, "picture": pixels.address(picture, SIZE), "link": place}
        for label, picture, place in zip(labels, pictures, places, strict=True)
    ]
    difference = pixels.address(apart, SIZE) if apart else ""
    return {"shown": shown, "difference": difference, "gain": gain, "input": key[0], "seed": key[1], "masks": masks}


def _file(point: Point, image: dict[str, Any]) -> Path:
    return Path(point.row["path"]).parent / image["file"]
