"""A slider through the pictures of a study, beside the baseline's with the difference."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anywidget
import traitlets
from PIL import Image

from mic2e_bench import paths
from mic2e_bench.report import pixels, strips
from mic2e_bench.report.findings import Findings
from mic2e_bench.report.metric_names import worded
from mic2e_bench.units import missing

TEMPLATES = Path(pixels.__file__).with_name("templates")
SIZE_PX = (512, 512)  # the most of a picture as the widget carries it
MOST = 60  # pictures: each is some 50 kB


class Slider(anywidget.AnyWidget):
    """``pictures`` are mappings of texts: label, note, image, difference (addresses, the latter may be empty), full."""

    _esm = TEMPLATES / "slider.js"
    _css = TEMPLATES / "slider.css"
    baseline = traitlets.Dict().tag(sync=True)
    pictures = traitlets.List().tag(sync=True)
    caption = traitlets.Unicode().tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)


def of(found: Findings) -> Slider | None:
    """The slider of a study's first input and seed; ``None`` where fewer than two pictures are there."""
    name, seed = next(iter(found.study.baseline.inputs["items"])), found.study.baseline.protocol["seeds"][0]
    images = {}
    for _, row in found.trials.iterrows():
        if file := _file(found, row, name, seed):
            images[row["id"]] = file
    reference = images.get(found.study.baseline.id)
    if reference is None or len(images) < 2:
        return None
    rows = {row["id"]: row for _, row in found.trials.iterrows()}
    shown = [_shown(found, rows[id], *images[id]) for id in list(images)[: MOST + 1]]
    first, others = shown[0], shown[1:]
    for one, id in zip(others, list(images)[1:], strict=False):
        apart = pixels.difference(images[id][0], reference[0])
        one["difference"] = pixels.address(apart, SIZE_PX) if apart else ""
    left_out = f" The first {MOST} of {len(images) - 1} pictures." if len(images) > MOST + 1 else ""
    caption = f"{found.credit}. Input {name}, seed {seed}. Difference: absolute, amplified ×{pixels.GAIN}.{left_out}"
    return Slider(baseline=first, pictures=others, caption=caption)


def _file(found: Findings, row: Any, name: str, seed: int) -> tuple[Image.Image, Path] | None:
    """A trial's picture of an input and seed with its file, where it is there still."""
    file = strips.file_of(row, name, seed)
    image = pixels.read(found.folder / file) if file else None
    return (image, found.folder / file) if image else None


def _shown(found: Findings, row: Any, image: Image.Image, file: Path) -> dict[str, str]:
    metrics = [worded(name, row[name]) for name in found.main_metrics[:3] if not missing(row[name])]
    latency = [] if missing(row["latency_s"]) else [f"{row['latency_s']:.3g} s"]
    address, note = pixels.address(image, SIZE_PX), " · ".join([*latency, *metrics])
    return {"label": row["label"], "note": note, "image": address, "difference": "", "full": _from_root(file)}


def _from_root(file: Path) -> str:
    """A file's path as JupyterLab serves it; empty where it lies outside of the workbench."""
    path = os.path.relpath(os.path.abspath(file), paths.root())
    return "" if path.startswith("..") else quote(path)
