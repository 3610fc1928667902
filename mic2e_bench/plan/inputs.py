"""Pictures, masks and prompts: a folder of ``NAME.png``, ``NAME.mask.png`` and an optional ``prompts.yaml``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mic2e_bench import paths
from mic2e_bench.catalog.pipeline import Item, Pipeline
from mic2e_bench.documents import named
from mic2e_bench.errors import BadInput, unknown
from mic2e_bench.files import read_yaml

if TYPE_CHECKING:
    from PIL import Image

BUNDLED = paths.BUNDLED / "inputs"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
FILES = {"image": "", "mask": ".mask", "truth": ".truth", "shadow": ".shadow"}
TEXTS = ("prompt", "caption", "text", "points", "box", "kind")
FORMS = {"points": "a list of [x, y, 1 (inside) or 0 (outside)]", "box": "[left, top, right, bottom]"}  # in pixels


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def find(value: Any, pipeline: Pipeline, where: str) -> dict[str, Any]:
    """Resolve ``inputs:`` of a params file to ``{"source", "path", "items": {name: {field: value or digest}}}``.

    ``value`` is ``bundled``, a folder, or a mapping with ``source`` and ``names`` or ``limit``. Only what the pipeline
    needs enters the identity, so a new caption does not invalidate a removal. Raises ``BadInput``.
    """
    value = value if isinstance(value, Mapping) else {"source": value}
    for key in value:
        if key not in ("source", "names", "limit"):
            raise unknown("key", key, ("source", "names", "limit"), f"{where}: inputs")
    source = named(value.get("source", "bundled"), f"{where}: inputs")
    folder = BUNDLED if source == "bundled" else paths.find(source)
    if not os.path.isdir(folder):
        raise BadInput(
            f"{where}: inputs: no folder '{source}'. Give 'bundled' or a folder of NAME.png + NAME.mask.png."
        )
    catalogue = _catalogue(folder, where)
    names = _chosen(catalogue, value, pipeline, where)
    items = {name: _needed(folder, name, catalogue[name], pipeline, where) for name in names}
    where_from = {"source": "bundled"} if source == "bundled" else {"source": "folder", "path": str(folder.resolve())}
    # the first is timed: an order that is not the alphabetical one is part of the identity
    order = {"order": list(items)} if list(items) != sorted(items) else {}
    return {**where_from, **order, "items": items}


def _catalogue(folder: Path, where: str) -> dict[str, dict[str, Any]]:
    """Every input of a folder: ``{name: {"files": {field: path}, text field: value}}``."""
    found: dict[str, dict[str, Any]] = {name: {"files": files} for name, files in _files(folder).items()}
    texts = folder / "prompts.yaml"
    if not texts.exists():
        return found
    entries = read_yaml(texts, f"{where}: inputs") or {}
    if not isinstance(entries, dict):
        raise BadInput(f"{where}: inputs: {texts} must map each input's name to its prompts.")
    for name, entry in entries.items():
        entry = {"prompt": entry, "caption": entry} if isinstance(entry, str) else entry
        if not isinstance(entry, dict) or set(entry) - set(TEXTS):
            raise BadInput(f"{where}: inputs: {texts}: '{name}' must be a text or a mapping of {', '.join(TEXTS)}.")
        for field, value in entry.items():
            if not _well_formed(field, value):
                form = FORMS.get(field, "a text")
                raise BadInput(f"{where}: inputs: {texts}: '{name}': {field}: {value!r} is not {form}.")
        found.setdefault(name, {"files": {}}).update(entry)
    return found


def _well_formed(field: str, value: Any) -> bool:
    if field not in FORMS:
        return value is None or (isinstance(value, str) and bool(value.strip()))
    rows, length = ([value], 4) if field == "box" else (value, 3)
    return value is None or (
        isinstance(rows, list)
        and bool(rows)
        and all(isinstance(row, list) and [type(number) in (int, float) for number in row] == [True] * length
                for row in rows)
    )  # fmt: skip


def _files(folder: Path) -> dict[str, dict[str, Path]]:
    """The picture files of every input: ``{name: {"image"|"mask"|"truth"|"shadow": path}}``."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file()):
        stem, _, kind = path.stem.rpartition(".")
        name, field = (stem, kind) if stem and f".{kind}" in FILES.values() else (path.stem, "image")
        found.setdefault(name, {})[field] = path
    return found


def _chosen(catalogue: Mapping[str, Any], value: Mapping, pipeline: Pipeline, where: str) -> list[str]:
    needs_image = "image" in pipeline.needs
    usable = [name for name, entry in catalogue.items() if not needs_image or "image" in entry["files"]]
    names = value.get("names", usable)
    if not isinstance(names, list):
        raise BadInput(f"{where}: inputs: names must be a list, not {names!r}.")
    for name in names:
        if named(name, f"{where}: inputs: names") not in catalogue:
            raise unknown("input", name, usable, f"{where}: inputs")
    limit = value.get("limit", len(names))
    if not names:
        raise BadInput(f"{where}: inputs: nothing to work on: {pipeline.name} needs {', '.join(pipeline.needs)}.")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise BadInput(f"{where}: inputs: limit must be a whole number from 1, not {limit!r}.")
    return names[:limit]


def _needed(folder: Path, name: str, entry: Mapping, pipeline: Pipeline, where: str) -> dict[str, Any]:
    """The part of one input that this pipeline uses, pictures by their digest, checked to be readable."""
    item: dict[str, Any] = {}
    for need in pipeline.needs:
        if need in FILES:
            path = entry["files"].get(need)
            if path is None:
                expected = f"{name}{FILES[need]}.png"
                raise BadInput(f"{where}: inputs: {pipeline.name} needs a {need}, and {folder} has no {expected}.")
            item[need] = digest(path)
        elif value := entry.get(need) or (entry.get("prompt") if need == "caption" else None):
            item[need] = value
        elif need in ("prompt", "caption"):
            raise BadInput(
                f"{where}: inputs: {pipeline.name} needs a {need} for '{name}': add it to {folder}/prompts.yaml."
            )
    pictures = [entry["files"][field] for field in ("image", "mask") if field in item]
    sizes = [_open(path, where).size for path in pictures]
    if len(set(sizes)) > 1:
        given = " but ".join(f"{path.name} is {w}x{h}" for path, (w, h) in zip(pictures, sizes, strict=True))
        raise BadInput(f"{where}: inputs: {given}: a mask must have its image's size.")
    return item


def _open(path: Path, where: str) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            image.load()
            return image.copy()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadInput(f"{where}: inputs: {path} is not a readable image ({error}).") from None


def read(inputs: Mapping[str, Any]) -> list[Item]:
    """Decode the inputs of a trial. Raises ``BadInput`` where a file changed since the trial was planned."""
    folder = _folder(inputs)
    catalogue = _catalogue(folder, str(folder))
    items = []
    for name, planned in inputs["items"].items():
        values = dict(planned)
        for field in (field for field in planned if field in FILES):
            path = catalogue.get(name, {"files": {}})["files"].get(field)
            if path is None or digest(path) != planned[field]:
                what = f"the {field} of '{name}' in {folder}"
                raise BadInput(f"{what} is not what it was when the study was planned: run it again.")
            values[field] = _open(path, str(folder)).convert("L" if field in ("mask", "shadow") else "RGB")
        if values.get("points") is not None:
            values["points"] = tuple(tuple(point) for point in values["points"])
        if values.get("box") is not None:
            values["box"] = tuple(values["box"])
        items.append(Item(name=name, **values))
    return items


def answers(inputs: Mapping[str, Any], name: str) -> dict[str, Path]:
    """The picture files of an input: ``image``, ``mask`` and the known answers there are (``truth``, ``shadow``)."""
    return _files(_folder(inputs)).get(name, {})


def _folder(inputs: Mapping[str, Any]) -> Path:
    return BUNDLED if inputs["source"] == "bundled" else Path(inputs["path"])
