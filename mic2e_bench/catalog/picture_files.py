"""Which files of a folder are one input: ``NAME.png`` with ``NAME.mask.png`` and the known answers beside it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mic2e_bench import pictures
from mic2e_bench.errors import BadInput

if TYPE_CHECKING:
    from mic2e_bench.catalog.pipeline import Pipeline

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
UNREAD = (".gif", ".heic", ".heif", ".avif", ".jp2", ".jxl")  # pictures all the same: one line, not silence
PROMPTS = ("prompts.yaml", "prompts.yml")  # the first is read; the other one is what people mean by it
FIELDS = {"image": "", "mask": ".mask", "truth": ".truth", "shadow": ".shadow"}
MASKS = ("mask", "shadow")  # the fields that are read as masks


def same(name: Any) -> str:
    """A name as everybody writes it: macOS stores é as two characters."""
    return unicodedata.normalize("NFC", str(name))


def by_name(folder: Path) -> dict[str, dict[str, Path]]:
    """``{name: {"image"|"mask"|"truth"|"shadow": path}}``; hidden files (macOS's ``._photo.png``) are passed over.

    Raises ``BadInput`` where two files are one field of one input, or prompts have a name that is not read.
    """
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.lower() in PROMPTS and path.name != PROMPTS[0]:
            raise BadInput(f"{folder}: {path.name} is not read: name it {PROMPTS[0]}, or take it away.")
        if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES + UNREAD:
            continue
        stem, _, kind = same(path.stem).rpartition(".")
        name, field = (
            (stem, kind.lower()) if stem and f".{kind.lower()}" in FIELDS.values() else (same(path.stem), "image")
        )
        other = found.setdefault(name, {}).setdefault(field, path)
        if other != path:
            alike = same(other.name) == same(path.name)  # on a screen: then as escapes
            names = " and ".join(ascii(each.name) if alike else each.name for each in (other, path))
            raise BadInput(f"{folder}: {names} are both the {field} of '{name}': take one away.")
    return found


def too_small(
    files: Mapping[str, Mapping[str, Path]], pipeline: Pipeline, settings: Sequence[Mapping[str, Any]]
) -> list[str]:
    """The pictures (``files`` by input and field) that a resolution asks more pixels of than they have, a line each."""
    asked = [each["resolution"] for each in settings if "resolution" in each]
    if pipeline.size != "short_side" or "image" not in pipeline.needs or not asked:
        return []
    sides = {name: min(pictures.size(fields["image"])) for name, fields in files.items()}
    lines = []
    for resolution in sorted(set(asked)):  # a short side, no list
        wanted = -(-resolution // pipeline.multiple) * pipeline.multiple
        if small := [f"{name} ({side})" for name, side in sides.items() if side < wanted]:
            line = f"resolution {resolution} is above the short side of {', '.join(small)}: it is not enlarged"
            if next(iter(sides.values())) < wanted:  # the receipts are of the first
                line += ", and the trials will be not_applied, without a speed-up: take larger pictures"
            lines.append(line)
    return lines
