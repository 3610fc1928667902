"""Contact sheets of an evaluation: to look at, not to ship."""

import numpy as np
from PIL import Image


def contact_sheet(rows: list[list[np.ndarray]], side: int) -> Image.Image:
    """Pictures in fields of ``side`` pixels: bytes, floats or bools, (height, width) or (height, width, 3)."""
    canvas = Image.new("RGB", (side * max(map(len, rows)), side * len(rows)))
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            small = Image.fromarray(picture if picture.dtype == np.uint8 else (picture * 255).astype(np.uint8))
            small.thumbnail((side - 2, side - 2))
            canvas.paste(small, (side * x, side * y))
    return canvas
