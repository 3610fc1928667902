"""Pixels of the strips: outlines, overlays, differences, and small copies that fit into a page."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from mic2e_bench.catalog.metrics import flip
from mic2e_bench.errors import BadInput, Unavailable
from mic2e_bench.pictures import open_picture
from mic2e_bench.report import markup

STORED_PX = 264  # width of an image of a strip as the page stores it
GAIN = 16  # of every difference picture on every page, so that they can be compared: 2 of 255 show, 16 are white
OUTLINE = (255, 59, 48)
MASK = (0, 114, 178)
ADDED, LOST = (0, 158, 115), (213, 94, 0)


def read(path: Path, mask: bool = False) -> Image.Image | None:
    """A stored picture, if it is one still: a page shows what there is."""
    try:
        return open_picture(path, mask=mask)
    except BadInput:
        return None


def outlined(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The image with the mask's edge drawn on it, as thick as it must be to survive the shrinking."""
    width = 2 * max(1, round(image.width / 200)) + 1
    inside = mask.point(lambda value: 255 if value >= 128 else 0)
    edge = np.asarray(inside.filter(ImageFilter.MaxFilter(width))) != np.asarray(inside)
    pixels = np.array(image.convert("RGB"))
    pixels[edge] = OUTLINE
    return Image.fromarray(pixels)


def pixels_of(image: Image.Image, size: tuple[int, int] | None = None) -> np.ndarray:
    resized = image if size is None or image.size == size else image.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(resized, dtype=np.int16)


def overlaid(mask: Image.Image, image: Image.Image | None) -> Image.Image:
    """A mask as a colour over the input; alone where the input is gone."""
    if image is None:
        return mask
    inside = np.asarray(mask.convert("L").resize(image.size, Image.Resampling.NEAREST)) >= 128
    pixels = np.array(image.convert("RGB"), dtype=np.float32)
    pixels[~inside] = pixels[~inside] * 0.6 + 255 * 0.4
    pixels[inside] = pixels[inside] * 0.35 + np.array(MASK) * 0.65
    return Image.fromarray(pixels.astype(np.uint8))


def difference(image: Image.Image, reference: Image.Image, masks: bool = False) -> Image.Image | None:
    """Where an image departs from the reference, times ``GAIN``; of masks, what came and went. ``None`` where equal."""
    changed = np.abs(pixels_of(image, reference.size) - pixels_of(reference))
    if not changed.any():
        return None
    if not masks:
        return Image.fromarray(np.clip(changed * GAIN, 0, 255).astype(np.uint8))
    ours = pixels_of(image, reference.size)[..., 0] >= 128
    theirs = pixels_of(reference)[..., 0] >= 128
    pixels = np.full((*ours.shape, 3), 245, dtype=np.uint8)
    pixels[ours & theirs] = 200
    pixels[ours & ~theirs], pixels[theirs & ~ours] = ADDED, LOST
    return Image.fromarray(pixels)


def seen(image: Image.Image, reference: Image.Image) -> Image.Image | None:
    """FLIP's map of the two as large as a page stores them, black where there is none; ``None`` without the package."""
    import matplotlib

    size = (STORED_PX, max(1, round(STORED_PX * reference.height / reference.width)))
    try:
        found = flip.error_map(*(pixels_of(each, size).astype(np.float32) / 255 for each in (image, reference)))
    except Unavailable:
        return None
    return Image.fromarray(matplotlib.colormaps["magma"](found, bytes=True)[..., :3].copy())


def address(image: Image.Image, size: tuple[int, int] = (STORED_PX, 2 * STORED_PX), quality: int = 86) -> str:
    """A copy no larger than ``size`` (pixels), as a JPEG that a page carries along."""
    small = image.convert("RGB")
    small.thumbnail(size, Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, format="JPEG", quality=quality, optimize=True)
    return markup.data_uri(stream.getvalue(), "jpeg")
