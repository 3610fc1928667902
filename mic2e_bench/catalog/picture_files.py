"""Which files of a folder are one input: ``NAME.png`` with ``NAME.mask.png`` and the known answers beside it."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

from mic2e_bench.errors import BadInput

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
