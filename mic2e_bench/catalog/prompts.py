"""What an input may be: the form and the place of texts, points and boxes, and where one cannot be meant."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mic2e_bench import files, pictures
from mic2e_bench.catalog.picture_files import PROMPTS
from mic2e_bench.errors import BadInput

if TYPE_CHECKING:
    from PIL import Image

ENDS = 4  # tokens around a text, at most
MOST_WORDS = 100  # characters of what is lost
TEXTS = ("prompt", "caption", "text", "points", "box", "kind")
FORMS = {"points": "a list of [x, y, 1 (inside) or 0 (outside)]", "box": "[left, top, right, bottom]"}  # in pixels


@dataclass(frozen=True)
class Reader:
    """A tokenizer that reads a text of an item, at most ``most`` tokens of it.

    ``tokenizer`` is the live pipeline's attribute, ``file`` where it lies in a model's folder. ``form`` is what the
    pipeline writes around the text. ``only``: the settings with which it reads at all. ``cuts``: what is longer is
    cut off; else it is an error.
    """

    of: str  # a field of an item
    tokenizer: str
    most: int
    file: str = ""
    form: str = "{}"
    only: Mapping[str, Any] = field(default_factory=dict)
    cuts: bool = True


Tokens = Callable[[Reader, str], list[int]]  # where in the text each token begins


def read(folder: Path, where: str) -> dict[Any, dict[str, Any]]:
    """What a folder's prompts.yaml says of each input; nothing where there is none. Raises ``BadInput``."""
    path = folder / PROMPTS[0]
    entries = (files.read_yaml(path, where) or {}) if path.exists() else {}
    if not isinstance(entries, dict):
        raise BadInput(f"{where}: {path} must map each input's name to its prompts.")
    found = {}
    for name, entry in entries.items():
        found[name] = {"prompt": entry, "caption": entry} if isinstance(entry, str) else entry
        if not isinstance(found[name], dict) or set(found[name]) - set(TEXTS):
            raise BadInput(f"{where}: {path}: '{name}' must be a text or a mapping of {', '.join(TEXTS)}.")
        for key, value in found[name].items():
            if not well_formed(key, value):
                form = FORMS.get(key, "a text")
                raise BadInput(f"{where}: {path}: '{name}': {key}: {value!r} is not {form}.")
    return found


def well_formed(field: str, value: Any) -> bool:
    """Whether a value of prompts.yaml has the form of its field; ``None`` is no value."""
    if value is None or field not in FORMS:
        return value is None or (isinstance(value, str) and bool(value.strip()))
    rows, length = ([value], 4) if field == "box" else (value, 3)
    return isinstance(rows, list) and bool(rows) and all(_numbers(row, length) for row in rows)


def _numbers(row: Any, length: int) -> bool:
    return isinstance(row, list) and len(row) == length and all(type(number) in (int, float) for number in row)


def misplaced(field: str, value: Any, size: tuple[int, int]) -> str:
    """Why points or a box cannot be meant in a picture of ``size`` (width, height, pixels); empty where they can."""
    rows = [value] if field == "box" else value
    places = [number for row in rows for number in (row if field == "box" else row[:2])]
    if not all(map(math.isfinite, places)):
        return "is no place"
    if field == "points" and any(label not in (0, 1) for *_, label in value):
        return "has a label that is not 1 (inside) or 0 (outside)"
    if max(places) <= 1 and max(size) > 2 and (field == "box" or any(0 < number < 1 for number in places)):
        return f"are shares of the picture: give pixels, up to {size[0]}x{size[1]}"
    if any(not 0 <= number <= size[index % 2] for index, number in enumerate(places)):
        return f"lies outside the picture, which is {size[0]}x{size[1]} pixels"
    if field == "box" and not (value[0] < value[2] and value[1] < value[3]):
        return "has its corners swapped: give [left, top, right, bottom], with left < right and top < bottom"
    return ""


def wrong(item: Mapping[str, Any], decoded: Mapping[Path, Image.Image], least: int) -> str:
    """Why an input cannot be meant: its pictures (by file, a mask in mode L), its points, its box; empty where it can.

    ``least``: pixels that each side must have.
    """
    sizes = {path.name: f"{picture.width}x{picture.height}" for path, picture in decoded.items()}
    if len(set(sizes.values())) > 1:
        given = " but ".join(f"{name} is {size}" for name, size in sizes.items())
        return f"{given}: a mask must have its image's size"
    for path, picture in decoded.items():
        if min(picture.size) < least:
            return f"{path.name} is {sizes[path.name]}: each side needs {least} pixels or more"
        if picture.mode == "L" and (problem := pictures.selects(picture)):
            return f"{path.name} {problem}"
        for form in FORMS:
            if form in item and (problem := misplaced(form, item[form], picture.size)):
                return f"{form}: {item[form]} in prompts.yaml {problem}"
    return ""


def unasked(items: Mapping[str, Mapping], settings: Sequence[Mapping]) -> str:
    """Which input lacks the prompt that some ``settings`` ask with (``prompt_kind``); empty where none does."""
    for kind in dict.fromkeys(each["prompt_kind"] for each in settings if "prompt_kind" in each):
        for name, item in items.items():
            if item.get(kind) is None:
                return f"'{name}' has no {kind}: add it to prompts.yaml, or ask with another prompt_kind"
    return ""


def too_long(
    readers: Iterable[Reader], items: Mapping[str, Mapping], settings: Sequence[Mapping], tokens: Tokens
) -> list[str]:
    """The texts of ``items`` (by name, then by field) of which words are not read with any ``settings``, a line each.

    Raises ``BadInput`` where a text is too long for its call to be made at all.
    """
    found: dict[str, list[str]] = {}
    for reader in readers:
        if not any(reader.only.items() <= each.items() for each in settings):
            continue
        for name, item in items.items():
            text = reader.form.format(item.get(reader.of) or "")
            if len(text.encode()) + ENDS <= reader.most:  # a token is a byte at least
                continue
            starts = tokens(reader, text)
            if len(starts) > reader.most:
                lost = text[starts[reader.most - 1] :].removesuffix(reader.form.partition("{}")[2])
                line = f"{reader.of} of {name} cut at {reader.most} of {len(starts)} tokens: '... {_both_ends(lost)}'"
                if not reader.cuts:
                    raise BadInput(
                        f"{reader.of} of {name} has {len(starts)} tokens, and the model reads {reader.most}."
                    )
                found.setdefault(line, []).append(reader.tokenizer)
    return [f"{line} ({' and '.join(by)})" for line, by in found.items()]


def _both_ends(text: str) -> str:
    """The first and the last words of a text, as far as a line has room."""
    words = " ".join(text.split())
    if len(words) <= MOST_WORDS:
        return words
    return f"{words[: MOST_WORDS // 2].rpartition(' ')[0]} ... {words[-MOST_WORDS // 2 :].partition(' ')[2]}"
