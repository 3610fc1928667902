"""Photographs in the public domain, from scikit-image's wheel, with outlines drawn by hand.

astronaut: NASA, public domain. coffee: Rachel Michetti, CC0. rocket: SpaceX, CC0. All three files are in the wheel
itself; nothing is downloaded.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mic2e_bench.errors import Unavailable


@dataclass(frozen=True)
class Photo:
    """A file of `skimage.data`, the part shown (left, top, right, bottom), and the outline of one thing, in pixels."""

    file: str
    part: tuple[int, int, int, int]
    outline: tuple[tuple[int, int], ...]
    words: dict[str, str]


PHOTOS = {
    "photo-coffee": Photo(
        "coffee.png", (0, 0, 600, 400),
        (
            (408, 67), (424, 71), (424, 82), (414, 117), (408, 136), (390, 209), (384, 238), (398, 252),
            (407, 270), (403, 294), (387, 317), (366, 326), (345, 322), (328, 305), (325, 280), (334, 259),
            (355, 244), (371, 234), (387, 199), (404, 136), (409, 117), (396, 73),
        ),
        {"prompt": "clean table", "caption": "a photo of a cup of coffee on a table", "text": "spoon"},
    ),
    "photo-portrait": Photo(
        "astronaut.png", (0, 0, 512, 512),
        (
            (409, 0), (396, 21), (394, 45), (388, 40), (380, 57), (379, 96), (376, 184), (353, 209),
            (353, 231), (378, 232), (365, 268), (367, 284), (393, 291), (475, 284), (474, 272), (460, 264),
            (456, 248), (456, 57), (446, 38), (438, 50), (437, 25), (421, 0),
        ),
        {"prompt": "clean wall", "caption": "a photo of a helmet and a flag", "text": "rocket"},
    ),
    "photo-rocket": Photo(
        "rocket.jpg", (0, 0, 640, 416),
        (
            (321, 124), (334, 142), (335, 181), (337, 198), (338, 319), (335, 408), (310, 408), (307, 319),
            (308, 181), (310, 145),
        ),
        {"prompt": "clean blue background", "caption": "a photo of a rocket on blue background", "text": "rocket"},
    ),
}  # fmt: skip


def shipped(pattern: str) -> Image.Image:
    """The photograph of scikit-image whose file has such a name, as RGB. Raises ``Unavailable`` without the package."""
    try:
        import skimage
    except ImportError:
        raise Unavailable("scikit-image is not installed: install the extra 'scenes'") from None
    with Image.open(next((Path(skimage.__file__).parent / "data").glob(pattern))) as opened:
        return opened.convert("RGB")


def load_photo(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The picture, uint8 (height, width, 3), and the mask, bool (height, width)."""
    photo = PHOTOS[name]
    picture = np.asarray(shipped(photo.file))
    left, top, right, bottom = photo.part
    mask = Image.new("L", (picture.shape[1], picture.shape[0]))
    ImageDraw.Draw(mask).polygon(photo.outline, fill=255)
    return picture[top:bottom, left:right], np.asarray(mask)[top:bottom, left:right] > 0
