"""Trials whose pictures changed: how many of them, and one of each as it was, as it is now, and the difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

from mic2e_bench.catalog.models import sources
from mic2e_bench.report import pixels
from mic2e_bench.run.scoring import pairs
from mic2e_bench.tools.compare.changes import Pairing

MOST_SHOWN = 12  # trials with a picture in the page
SIZE = (360, 720)  # pixels of a picture in the page, at most


@dataclass(frozen=True)
class Changed:
    """The pictures of one trial: ``changed`` of ``of`` are not the same. One that differs is of ``input``, ``seed``."""

    study: str
    label: str
    changed: int
    of: int
    input: str
    seed: int
    base: str  # path of its file
    head: str
    not_kept: bool = False  # of random weights, whose pictures need not be there


def of(pairing: Pairing) -> Iterator[Changed]:
    """What changed in the pictures of a trial that both sides measured on one machine; nothing where none did."""
    base, head = pairing.match.base, pairing.match.head
    if pairing.across or not base.measured or not head.measured:
        return
    mine, theirs = ({pairs.key(image): image for image in side.record.images} for side in (base, head))
    both = [key for key in mine if key in theirs]
    if changed := [key for key in both if mine[key]["sha256"] != theirs[key]["sha256"]]:
        name, seed = changed[0]
        files = [str(side.last.folder / found[changed[0]]["file"]) for side, found in ((base, mine), (head, theirs))]
        lacks = sources.pictures_may_lack(head.record.model)
        yield Changed(head.study, head.label, len(changed), len(both), str(name), seed, *files, not_kept=lacks)


def shown(changed: Sequence[Changed]) -> dict[str, Any]:
    """What the page shows of the first ``MOST_SHOWN``: ``rows``, the one ``gain`` of all differences, ``left_out``."""
    read = [(one, *(pixels.read(Path(path)) for path in (one.base, one.head))) for one in changed[:MOST_SHOWN]]
    return {"rows": [_row(*each) for each in read], "gain": pixels.GAIN, "left_out": len(changed) - len(read)}


def _row(one: Changed, base: Image.Image | None, head: Image.Image | None) -> dict[str, Any]:
    """The addresses of the three pictures (``None``: there is none) and what is to be said of them."""
    apart = _difference(base, head)
    said = ""
    if base is None or head is None:
        gone = " and ".join(name for name, image in (("base", base), ("head", head)) if image is None)
        said = sources.NOT_KEPT if one.not_kept else f"no picture any more: {gone}"
    elif apart is None:
        said = f"another size: {base.width}×{base.height} → {head.width}×{head.height} pixels"
    elif apart.getbbox() is None:
        said = "the same pixels in another file"
    amplified = apart.point(lambda value: min(255, value * pixels.GAIN)) if apart and apart.getbbox() else None
    addresses = [pixels.address(image, SIZE) if image else None for image in (base, head, amplified)]
    return {"one": one, "base": addresses[0], "head": addresses[1], "difference": addresses[2], "said": said}


def _difference(base: Image.Image | None, head: Image.Image | None) -> Image.Image | None:
    if base is None or head is None or base.size != head.size:
        return None
    return ImageChops.difference(base, head)
