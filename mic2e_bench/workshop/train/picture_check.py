"""A plain check that a generated picture shows the thing its caption names: colour and shape, without a learned judge.

The thing's pixels are those nearer to the asked colour than to any other named colour, brightness counting less than
hue; the largest connected patch of them is the thing. Its outline is compared with each drawn shape, turned and scaled
to the same area. The check knows nothing of what the picture should show beside the asked words, and its rate is given
beside chance: the same check with the words of another picture's caption.
"""

from functools import cache

import numpy as np
from scipy import ndimage

from mic2e_bench.workshop.scenes.render import distance
from mic2e_bench.workshop.scenes.spec import Thing
from mic2e_bench.workshop.scenes.words import COLOURS, SHAPES

SIDE = 48  # pixels of a normalised outline
AREA = (0.008, 0.16)  # of the picture: a drawn thing's patch is 0.01 to 0.12


def separated(rgb: np.ndarray) -> np.ndarray:
    """(..., 3) RGB to a space where brightness counts half as much as colour."""
    grey = rgb.mean(-1, keepdims=True)
    return np.concatenate([0.5 * grey, rgb - grey], -1)


def colour_patch(image: np.ndarray, colour: str) -> np.ndarray | None:
    """The largest connected patch nearest to `colour`, bool (height, width); None where its size is not a thing's."""
    names = list(COLOURS)
    far = np.linalg.norm(separated(image)[..., None, :] - separated(np.array([COLOURS[n] for n in names])), axis=-1)
    mine = ndimage.binary_opening(far.argmin(-1) == names.index(colour), iterations=max(1, len(image) // 128))
    labels, count = ndimage.label(mine)
    if not count:
        return None
    sizes = np.bincount(labels.ravel())[1:]
    patch = labels == sizes.argmax() + 1
    return patch if AREA[0] < patch.mean() < AREA[1] else None


def normalised(mask: np.ndarray) -> np.ndarray:
    """The outline moved to the middle and scaled to one area, on SIDE x SIDE."""
    y, x = np.nonzero(mask)
    scale = np.sqrt(mask.sum()) / (0.45 * SIDE)
    grid = (np.arange(SIDE) - (SIDE - 1) / 2) * scale
    at = np.meshgrid(y.mean() + grid, x.mean() + grid, indexing="ij")
    return ndimage.map_coordinates(mask.astype(np.float32), at, order=1) > 0.5


@cache
def templates() -> dict[str, list[np.ndarray]]:
    """Every shape's outline at 24 turns."""
    y, x = np.mgrid[0:1:128j, 0:1:128j]

    def outline(shape: str, turn: float) -> np.ndarray:
        thing = Thing(shape, "red", (1, 0, 0), (0.5, 0.5), 0.25, turn, 0, 0, 0, 0, 0)
        return normalised(distance(thing, x, y) < 0)

    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return {shape: [outline(shape, turn) for turn in turns] for shape in SHAPES}


def nearest_shape(mask: np.ndarray) -> str:
    outline = normalised(mask)

    def likeness(template: np.ndarray) -> float:
        return (outline & template).sum() / (outline | template).sum()

    return max(SHAPES, key=lambda shape: max(likeness(t) for t in templates()[shape]))


def look_for(image: np.ndarray, colour: str) -> str | None:
    """The shape that a patch of this colour most resembles; None without one. image: float RGB in [0, 1]."""
    patch = colour_patch(image, colour)
    return None if patch is None else nearest_shape(patch)


def rates(images: list[np.ndarray], words: list[tuple[str, str]]) -> dict[str, float]:
    """Shares of pictures with a patch of the asked colour, and with the asked shape too; then both by chance."""
    shifted = [words[(k + len(words) // 3) % len(words)] for k in range(len(words))]
    rates = {}
    for kind, asked in {"": words, "_by_chance": shifted}.items():
        found = [(look_for(image, colour), shape) for image, (colour, shape) in zip(images, asked, strict=True)]
        rates[f"colour{kind}"] = float(np.mean([seen is not None for seen, _ in found]))
        rates[f"colour_and_shape{kind}"] = float(np.mean([seen == shape for seen, shape in found]))
    return rates
