"""The pictures on the page of a record: small copies, each leading to its file, beside those of the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mic2e_bench.records.record import Record
from mic2e_bench.report import pixels

MOST = 6  # inputs and seeds that are shown; the others are links


def of(one: Record, base: Record | None, folder: Path) -> dict[str, Any]:
    """``pictures``, ``more_pictures`` (text, link) and ``has_pairs`` for ``record.html``; ``folder`` is the study's."""
    theirs = {(image.get("input"), image.get("seed")): image for image in (base.images if base else ())}
    made = []
    for image in one.images[:MOST]:
        other = theirs.get((image.get("input"), image.get("seed")))
        shown = [_shown(folder, image, one.label), _shown(folder, other, base.label) if other else None]
        made.append({"caption": _caption(image, other, shown[0]), "shown": [each for each in shown if each]})
    more = [(_named(image), quote(image["file"])) for image in one.images[MOST:]]
    return {"pictures": made, "more_pictures": more, "has_pairs": any(len(each["shown"]) == 2 for each in made)}


def _named(image: Mapping[str, Any]) -> str:
    return f"{image.get('input')}, seed {image.get('seed')}"


def _caption(image: Mapping[str, Any], other: Mapping[str, Any] | None, shown: Mapping[str, str] | None) -> str:
    """Input and seed, whether it repeats itself, and where it is the baseline's own, bit for bit."""
    parts = [_named(image) if shown else f"{_named(image)}: the picture is not here"]
    if again := image.get("again"):
        parts.append("the repeat is equal" if again["sha256"] == image["sha256"] else "the repeat is another picture")
    if other and other["sha256"] == image["sha256"]:
        parts.append("identical to the baseline's")
    return "; ".join(parts)


def _shown(folder: Path, image: Mapping[str, Any], label: str) -> dict[str, str] | None:
    """The small copy with its link; ``None`` where the file is gone or no picture."""
    data = _small(folder / image["file"], image["sha256"])
    return {"link": quote(image["file"]), "alt": f"{label}: {_named(image)}", "data": data} if data else None


@lru_cache(64)  # a baseline's are on every page of its study
def _small(path: Path, _sha256: str) -> str | None:
    image = pixels.read(path)
    return pixels.address(image) if image else None
