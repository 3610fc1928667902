"""What is compared with what: a candidate's stored images with the baseline's, and with the known answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mic2e_bench import inputs
from mic2e_bench.regions import Masks, read_mask


@dataclass(frozen=True)
class Picture:
    """A picture file; where ``kept`` is given, outside ``mask`` it is that file's picture instead."""

    path: Path
    kept: Path | None = None
    mask: Path | None = None

    def read(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """Bytes (height, width, 3), resized bicubically to ``size`` (width, height) where it has another."""
        image = _open(self.path)
        if self.kept and self.mask:
            kept = _open(self.kept)
            inside = Image.fromarray(read_mask(self.mask, kept.size))
            image = Image.composite(image.resize(kept.size), kept, inside)
        if size and image.size != size:
            image = image.resize(size, Image.Resampling.BICUBIC)
        return np.asarray(image)


@dataclass(frozen=True)
class Pair:
    """One comparison. ``nothing`` is the picture that a candidate without any information would be."""

    input: str
    seed: int
    candidate: Picture
    reference: Picture
    masks: Masks | None = None
    nothing: Picture | None = None


@dataclass(frozen=True)
class Side:
    """All pairs of one record against one reference. ``against`` is the baseline's id or ``truth``."""

    against: str
    pairs: tuple[Pair, ...]
    anchor: str = ""  # what ``nothing`` is, in words
    missing: tuple[str, ...] = field(default=())  # images without a counterpart


def _open(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def key(image: Mapping[str, Any]) -> tuple[str, int, int]:
    """What makes two images comparable: input, seed and number within the call."""
    return image["input"], image["seed"], image.get("index", 0)


def with_baseline(record: Mapping[str, Any], baseline: Mapping[str, Any], task: str, folder: Path) -> Side:
    """A record's images beside the baseline's of the same input and seed."""
    of_baseline = {key(image): Picture(folder / image["file"]) for image in baseline["images"]}
    answers = known(record["trial"]["inputs"])
    pairs, missing = [], []
    for image in record["images"]:
        name, seed, _ = key(image)
        reference = of_baseline.get(key(image))
        if reference is None:
            missing.append(f"the baseline has no image of input '{name}', seed {seed}")
            continue
        pairs.append(Pair(name, seed, Picture(folder / image["file"]), reference, masks_of(answers[name], task)))
    return Side(baseline["id"], tuple(pairs), missing=tuple(missing))


def with_truth(record: Mapping[str, Any], task: str, folder: Path) -> Side:
    """A record's images beside the known answers of their inputs; inputs without one have no pair."""
    answers = known(record["trial"]["inputs"])
    pairs = []
    for image in record["images"]:
        name, seed, _ = key(image)
        truth = truth_of(answers[name], task)
        if truth:
            pairs.append(Pair(name, seed, Picture(folder / image["file"]), truth, masks_of(answers[name], task)))
    return Side("truth", tuple(pairs))


def known(planned: Mapping[str, Any]) -> dict[str, dict[str, Path]]:
    """The files beside each input: ``{name: {"truth"|"shadow"|"mask"|"image": path}}``."""
    return {name: inputs.answers(planned, name) for name in planned["items"]}


def truth_of(answers: Mapping[str, Path], task: str) -> Picture | None:
    """The right answer: a removal's clean plate, an inpainting's only inside the mask, a segmentation's mask."""
    if task == "segmentation":
        return Picture(answers["mask"]) if "mask" in answers else None
    if "truth" not in answers or task not in ("removal", "inpainting"):
        return None
    if task == "inpainting" and {"image", "mask"} <= set(answers):
        return Picture(answers["truth"], answers["image"], answers["mask"])
    return Picture(answers["truth"])


def masks_of(answers: Mapping[str, Path], task: str) -> Masks | None:
    """The regions of a task that has a mask; a shadow goes with its object in a removal only."""
    if "mask" not in answers or task not in ("removal", "inpainting"):
        return None
    return Masks(answers["mask"], answers.get("shadow") if task == "removal" else None)
