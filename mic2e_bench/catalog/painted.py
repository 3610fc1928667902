"""Whether what a call gave out is a picture: no NaN in it, not black, not of one colour, before anything hides it.

In a call only a reference to what the model gave out is kept; all looking comes after the call and its clock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from mic2e_bench import pictures
from mic2e_bench.catalog.pipeline import Build, Item
from mic2e_bench.catalog.witness import replaced

SCORES = ("pred_masks", "pred_logits", "presence_logits", "iou_scores", "object_score_logits")  # of a segmenter
NEAR = 16  # of 255: what is not farther from a colour is of it
SHARE = 0.05  # of the pixels around a mask, which makes their colour one that may be under it


@contextlib.contextmanager
def kept(build: Build) -> Iterator[list[dict[str, Any]]]:
    """What the VAE decodes in the block, or a segmenter's model says: tensors by name, a dictionary a call of it."""
    made: list[dict[str, Any]] = []
    segments = build.pipeline.task == "segmentation"
    part, method = (build.pipeline.denoiser, "forward") if segments else ("vae", "decode")
    if (module := build.modules().get(part)) is None:
        yield made
        return

    def keep(inner: Any, *args: Any, **kwargs: Any) -> Any:
        result = inner(*args, **kwargs)
        if segments:
            made.append({name: getattr(result, name, None) for name in SCORES})
        else:
            made.append({"sample": result[0] if isinstance(result, tuple) else result.sample})
        return result

    with replaced(module, method, keep):
        yield made


def faults(
    build: Build, item: Item, seed: int, made: Sequence[Mapping[str, Any]], images: Sequence[Image.Image]
) -> tuple[list[str], list[str]]:
    """What is wrong with the images of a call, a line each, and in a word for each image (empty where it is well).

    ``made``: what ``kept`` gave. Random weights paint no pictures anyway, and an empty mask is an answer.
    """
    words = [""] * len(images)
    if build.model.get("source") == "random":
        return [], words
    name, segments = f"image {item.name} seed {seed}", build.pipeline.task == "segmentation"
    who = "the model scored" if segments else "the VAE decoded"
    given = [tensor for each in made for tensor in each.values() if tensor is not None]
    lines = [] if all(map(_finite, given)) else [f"{who} NaN or infinity for {name}"]
    if not segments:
        frames = [frame for tensor in given for frame in tensor]
        for index, image in enumerate(images):
            words[index] = _of_one_colour(np.asarray(image.convert("RGB")).reshape(-1, 3))
            if not words[index] and not lines and item.mask and len(frames) == len(images):
                words[index] = _under_the_mask(frames[index], item)
        lines += [f"{name} is {word}" for word in dict.fromkeys(words) if word]
    return lines, words


def _finite(tensor: Any) -> bool:
    return bool(tensor.isfinite().all())


def _of_one_colour(pixels: np.ndarray) -> str:
    """What is wrong with pixels (number, 3) that are all alike; empty where they are not."""
    if not len(pixels) or np.ptp(pixels, axis=0).any():
        return ""
    return "of one colour" if pixels[0].any() else "black"


def _under_the_mask(frame: Any, item: Item) -> str:
    """What is wrong with what was painted under the mask, in a decoded ``frame`` (3, height, width), -1 to 1.

    One colour there may be right: where the picture itself has it around the mask, or, if all of the frame is of one
    colour, all over.
    """
    size = frame.shape[-1], frame.shape[-2]
    mask = item.mask.resize(size, Image.Resampling.NEAREST)
    painted = ((frame.float().cpu().numpy() / 2 + 0.5).clip(0, 1) * 255).round().astype(np.int16).transpose(1, 2, 0)
    inside = painted[np.asarray(mask) >= pictures.HALF]
    if not (word := _of_one_colour(inside)):
        return ""
    all_over, box = bool(_of_one_colour(painted.reshape(-1, 3))), (0, 0, *size)
    if not all_over:
        left, top, right, bottom = mask.getbbox()
        margin = max(8, min(size) // 10)
        box = max(0, left - margin), max(0, top - margin), min(size[0], right + margin), min(size[1], bottom + margin)
    outside = np.asarray(mask.crop(box)) < pictures.HALF
    around = np.asarray(item.image.resize(size).crop(box), dtype=np.int16)[outside]
    alike = np.abs(around - inside[0]).max(axis=1, initial=0) <= NEAR
    return "" if not len(alike) or alike.mean() >= (1 - SHARE if all_over else SHARE) else f"{word} under its mask"
