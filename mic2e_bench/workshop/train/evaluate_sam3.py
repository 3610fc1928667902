"""Figures of the small SAM3 on the fixed evaluation scenes: IoU with the drawn mask, by kind of prompt."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mic2e_bench.catalog.models.segmenter import Segmenter
from mic2e_bench.workshop.scenes import EVALUATION_SEEDS, Example, make
from mic2e_bench.workshop.scenes.evaluation import SCENES, scene_example
from mic2e_bench.workshop.train.contact import contact_sheet

KINDS = ("text", "points", "box")
MORE = 45  # further scenes of evaluation seeds


def evaluate(name: str, folder: Path, say, most: int | None = None) -> dict:
    """Mean IoU by kind, on the bundled scenes and on more of them, beside two answers that look at nothing."""
    bundled = {n: scene_example(n) for n in sorted(SCENES)[:most]}
    more = {str(i): make(EVALUATION_SEEDS.start + 600 + i, 384, 384) for i in range(MORE)}
    tables, masks = {}, {}
    for kind in KINDS:
        model = Segmenter.load(str(folder), kind, dtype=torch.float32)
        masks[kind] = {n: ask(model, e) for n, e in (bundled | more).items()}
        found = {n: iou(masks[kind][n], e.mask) for n, e in (bundled | more).items()}
        tables[kind] = {
            "bundled": average(found, bundled),
            "more": average(found, more),
            "share_above_0.5": round(float(np.mean([v > 0.5 for v in found.values()])), 3),
        }
        say(f"{name}: {kind} done, {tables[kind]}")
    filled = {n: iou(boxed(e), e.mask) for n, e in (bundled | more).items()}
    tables["the filled box itself"] = {"bundled": average(filled, bundled), "more": average(filled, more)}
    rows = [[e.image, e.mask, *(masks[kind][n] for kind in KINDS)] for n, e in bundled.items()]
    return {"scenes": len(bundled), "more": MORE, "tables": tables, "sheet": contact_sheet(rows, 120)}


def ask(model: Segmenter, example: Example) -> np.ndarray:
    points = tuple(tuple(p) for p in example.points)
    mask = model(Image.fromarray(example.image), example.scene.things[0].phrase, points, example.box)
    return np.asarray(mask) > 0


def boxed(example: Example) -> np.ndarray:
    mask, (left, top, right, bottom) = np.zeros_like(example.mask), example.box
    mask[top : bottom + 1, left : right + 1] = True
    return mask


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def average(found: dict[str, float], of: dict) -> float:
    return round(float(np.mean([found[n] for n in of])), 3)
