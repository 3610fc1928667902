"""Pictures, masks and prompts: a folder of ``NAME.png``, ``NAME.mask.png`` and an optional ``prompts.yaml``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mic2e_bench import paths, pictures
from mic2e_bench.catalog import prompts
from mic2e_bench.catalog.picture_files import FIELDS, MASKS, PROMPTS, by_name, same, too_small
from mic2e_bench.catalog.pipeline import Item, Pipeline
from mic2e_bench.catalog.prompts import Tokens
from mic2e_bench.documents import named
from mic2e_bench.errors import BadInput, nearest, unknown

BUNDLED = paths.BUNDLED / "inputs"


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
    folder = BUNDLED if source == "bundled" else paths.find(source, f"{where}: inputs")
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
    found: dict[str, dict[str, Any]] = {name: {"files": files} for name, files in by_name(folder).items()}
    for name, entry in prompts.read(folder, f"{where}: inputs").items():
        place = found.setdefault(same(name), {"files": {}})
        if len(place) > 1:
            texts = folder / PROMPTS[0]
            raise BadInput(f"{where}: inputs: {texts}: '{name}' is there twice, in two spellings: take one away.")
        place.update(entry)
    return found


def _chosen(catalogue: Mapping[str, Any], value: Mapping, pipeline: Pipeline, where: str) -> list[str]:
    needs_image = "image" in pipeline.needs
    usable = [name for name, entry in catalogue.items() if not needs_image or "image" in entry["files"]]
    names = value.get("names", usable)
    if not isinstance(names, list):
        raise BadInput(f"{where}: inputs: names must be a list, not {names!r}.")
    names = [same(named(name, f"{where}: inputs: names")) for name in names]
    for name in names:
        if name not in catalogue:
            raise unknown("input", name, usable, f"{where}: inputs")
        if names.count(name) > 1:
            raise BadInput(f"{where}: inputs: names: '{name}' is there twice, and would count twice: take one away.")
    for name in sorted(set(catalogue) - set(usable)) if "names" not in value else ():
        given = [path.name for path in catalogue[name]["files"].values()]
        given += [f"{field} in prompts.yaml" for field in pipeline.needs if catalogue[name].get(field)]
        if given:
            raise BadInput(
                f"{where}: inputs: '{name}' has {', '.join(given)}, and no picture.{nearest(name, usable)} "
                "Add it, take the rest away, or choose with names:."
            )
    limit = value.get("limit", len(names))
    if not names:
        raise BadInput(f"{where}: inputs: nothing to work on: {pipeline.name} needs {', '.join(pipeline.needs)}.")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise BadInput(f"{where}: inputs: limit must be a whole number from 1, not {limit!r}.")
    return names[:limit]


def _needed(folder: Path, name: str, entry: Mapping, pipeline: Pipeline, where: str) -> dict[str, Any]:
    """The part of one input that this pipeline uses, pictures by their digest, all checked to be what can be meant."""
    item: dict[str, Any] = {}
    decoded = {}
    for need in pipeline.needs:
        if need in FIELDS:
            path = entry["files"].get(need)
            if path is None:
                expected = f"{name}{FIELDS[need]}.png"
                raise BadInput(f"{where}: inputs: {pipeline.name} needs a {need}, and {folder} has no {expected}.")
            decoded[path], item[need] = pictures.read(path, need in MASKS, f"{where}: inputs")
        elif value := entry.get(need) or (entry.get("prompt") if need == "caption" else None):
            item[need] = value
        elif need in ("prompt", "caption"):
            raise BadInput(
                f"{where}: inputs: {pipeline.name} needs a {need} for '{name}': add it to {folder}/prompts.yaml."
            )
    if problem := prompts.wrong(item, decoded, pipeline.multiple):
        raise BadInput(f"{where}: inputs: {folder}: '{name}': {problem}.")
    return item


def remarks(given: Mapping[str, Any], pipeline: Pipeline, settings: Sequence[Mapping], tokens: Tokens) -> list[str]:
    """What of the inputs a pipeline does not use as it was asked to with these settings, a line each.

    That is prompts where it reads none, words beyond the limits of its tokenizers, whose ``tokens`` are given, and
    pictures that are smaller than the resolution.
    Raises ``BadInput`` where a text is too long for its call to be made at all.
    """
    if problem := prompts.unasked(given["items"], settings):
        raise BadInput(f"inputs: {problem}.")
    lines = prompts.too_long(pipeline.readers, given["items"], settings, tokens)
    # the bundled prompts are for all pipelines
    texts = _folder(given) / PROMPTS[0] if given["source"] == "folder" else None
    if texts and texts.exists() and not set(prompts.TEXTS) & set(pipeline.needs):
        lines.append(f"{pipeline.name} reads no prompts: {texts.name} is not used")
    files = by_name(_folder(given))
    return [*lines, *too_small({name: files.get(name, {}) for name in given["items"]}, pipeline, settings)]


def read(inputs: Mapping[str, Any]) -> list[Item]:
    """Decode the inputs of a trial. Raises ``BadInput`` where a file changed since the trial was planned."""
    folder = _folder(inputs)
    catalogue = _catalogue(folder, str(folder))
    items = []
    for name, planned in inputs["items"].items():
        values = dict(planned)
        for field in (field for field in planned if field in FIELDS):
            path = catalogue.get(same(name), {"files": {}})["files"].get(field)
            found = (None, None) if path is None else pictures.read(path, field in MASKS)
            if found[1] != planned[field]:
                what = f"the {field} of '{name}' in {folder}"
                raise BadInput(f"{what} is not what it was when the study was planned: run it again.")
            values[field] = found[0]
        if values.get("points") is not None:
            values["points"] = tuple(tuple(point) for point in values["points"])
        if values.get("box") is not None:
            values["box"] = tuple(values["box"])
        items.append(Item(name=name, **values))
    return items


def answers(inputs: Mapping[str, Any], name: str) -> dict[str, Path]:
    """The picture files of an input: ``image``, ``mask`` and the known answers there are (``truth``, ``shadow``)."""
    return by_name(_folder(inputs)).get(same(name), {})


def _folder(inputs: Mapping[str, Any]) -> Path:
    return BUNDLED if inputs["source"] == "bundled" else Path(inputs["path"])
