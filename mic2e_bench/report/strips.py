"""Strips of images: the input, the baseline, every trial, under each its difference to the baseline and FLIP's map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import pandas
from markupsafe import Markup
from PIL import Image

from mic2e_bench.catalog.models import sources
from mic2e_bench.catalog.pipeline import Item
from mic2e_bench.errors import BadInput
from mic2e_bench.plan import inputs
from mic2e_bench.report import markup, pixels
from mic2e_bench.report.findings import Findings
from mic2e_bench.report.metric_names import worded
from mic2e_bench.units import missing

IDENTICAL = "identical"
LEVELS = (0, 1, 2, 4, 8, 16)  # differences of a pixel whose grey the legend shows


@dataclass(frozen=True)
class StripCell:
    """One place of a strip: an image under its name, a second one below (the difference), FLIP's map; all may lack.

    ``link`` leads to the image as it is stored; it may be empty.
    """

    name: str
    image: Image.Image | None = None
    note: str = ""
    second: Image.Image | None = None
    below: str = ""
    marked: bool = False
    third: Image.Image | None = None
    link: str = ""


def html(found: Findings, most: int = 2, base: str | None = None) -> Markup:
    """Strips for the first ``most`` inputs (first seed of each), and a line saying what is left out.

    ``base`` leads from the page to the study's folder (``""``: the page lies in it), for the links to the images as
    they are stored; ``None`` where that is not known, and then there are none.
    """
    names = list(found.study.baseline.inputs["items"])
    seeds = found.study.baseline.protocol["seeds"]
    made = [strip(found, name, seeds[0], base) for name in names[:most]]
    left = [f"{len(names) - most} more inputs"] if len(names) > most else []
    left += [f"{len(seeds) - 1} more seeds"] if len(seeds) > 1 else []
    legend = {
        "masks": found.study.pipeline.task == "segmentation", "gain": pixels.GAIN,
        "scale": [(level, min(255, level * pixels.GAIN)) for level in LEVELS],
        "added": pixels.ADDED, "lost": pixels.LOST,
        "shown": any(cell.second for one in made for cell in one["cells"][1:]),
        "mapped": any(cell.third for one in made for cell in one["cells"]),
    }  # fmt: skip
    where = f"{found.study.name}/images"
    return markup.render("strips.html", strips=made, legend=legend, left_out=left, where=where, address=pixels.address)


def strip(found: Findings, name: str, seed: int, base: str | None = None) -> dict[str, Any]:
    """The cells and the caption of one input and seed."""
    item = _item(found, name)
    images = {row["id"]: _stored(found, row, name, seed) for _, row in found.trials.iterrows()}
    reference = images[found.study.baseline.id]
    cells = [_input_cell(found, name, item)] if item is None or item.image is not None else []
    for _, row in found.trials.iterrows():
        cell = _cell(found, row, images[row["id"]], reference, item)
        cells.append(replace(cell, link=_link(row, name, seed, base)) if cell.image else cell)
    prompt = next((text for text in (item.caption, item.prompt, item.text) if text), "") if item else ""
    asked = f" Prompt: “{prompt}”." if prompt and "image" not in found.study.pipeline.needs else ""
    caption = f"{found.credit}. Input {name}, seed {seed}.{asked}"
    return {"cells": cells, "caption": caption}


def _item(found: Findings, name: str) -> Item | None:
    """The input itself, where it still lies where the trial found it."""
    planned = found.study.baseline.inputs
    try:
        return inputs.read({**planned, "items": {name: planned["items"][name]}})[0]
    except (BadInput, KeyError, OSError):
        return None


def file_of(row: pandas.Series, name: str, seed: int) -> str:
    """The file of the trial's first image of that input and seed, from the study's folder; empty where none is."""
    for entry in row["images"] if isinstance(row["images"], list) else []:
        if (entry["input"], entry["seed"]) == (name, seed):
            return str(entry["file"])
    return ""


def _stored(found: Findings, row: pandas.Series, name: str, seed: int) -> Image.Image | None:
    """That image; ``None`` where there is none or its file is gone."""
    file = file_of(row, name, seed)
    return pixels.read(found.folder / file) if file else None


def _link(row: pandas.Series, name: str, seed: int, base: str | None) -> str:
    """Where that image lies, seen from the page; a record's file that is not among the study's images has none."""
    file = PurePosixPath(file_of(row, name, seed))
    if base is None or file.parts[:1] != ("images",) or ".." in file.parts:
        return ""
    return base + quote(str(file))


def _input_cell(found: Findings, name: str, item: Item | None) -> StripCell:
    if item is None:
        return StripCell("input", note="the input file changed or is gone")
    image = pixels.outlined(item.image, item.mask) if item.mask else item.image
    texts = [f"“{text}”" for text in (item.text, item.prompt) if text]
    note = " · ".join([*(["mask outlined"] if item.mask else []), *texts[:1]])
    # what a perfect result looks like, where it lies beside the input
    answers = inputs.answers(found.study.baseline.inputs, name)
    path = answers.get("mask" if found.study.pipeline.task == "segmentation" else "truth")
    truth = pixels.read(path, mask=path == answers.get("mask")) if path else None
    return StripCell("input", image, note, *([truth, "the known answer"] if truth else []))


def _cell(found: Findings, row: pandas.Series, image: Any, reference: Any, item: Any) -> StripCell:
    """A trial's image with its difference, its metrics and, where it did not run as asked, its status."""
    marked, masks = row["status"] != "ok", found.study.pipeline.task == "segmentation"
    status = "NOT APPLIED" if row["status"] == "not_applied" else row["status"]
    if image is None:
        if row["images"] and sources.pictures_may_lack(found.study.baseline.model):
            return StripCell(row["label"], note=sources.NOT_KEPT, marked=marked)
        why = f"{status}: {row['reason']}" if marked else "no image of this input and seed"
        return StripCell(row["label"], note=why, marked=True)
    shown = pixels.overlaid(image, item.image if item else None) if masks else image
    names = [name for name in found.main_metrics[:2] if not missing(row[name])]
    metrics = [worded(name, row[name]) for name in names]
    note = " · ".join([*([status] if marked else []), *metrics])
    if row["baseline"]:
        return StripCell(row["label"], shown, note, below="the reference", marked=marked)
    if reference is None:
        return StripCell(row["label"], shown, note, below="the baseline has no image", marked=marked)
    apart = pixels.difference(image, reference, masks)
    below = "" if image.size == reference.size else f"resized from {image.width}×{image.height}"
    seen = None if masks or apart is None else pixels.seen(image, reference)
    return StripCell(row["label"], shown, note, apart, IDENTICAL if apart is None else below, marked, seen)
