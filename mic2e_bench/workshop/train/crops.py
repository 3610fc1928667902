"""Which part of which scene a training sample shows, for the two UNets."""

from dataclasses import dataclass

import numpy as np

from mic2e_bench.workshop.scenes import TRAINING_SEEDS, Scene, draw_scene
from mic2e_bench.workshop.scenes.render import picture_size

CROP = 256  # pixels of an ordinary sample; a large one is LARGE
LARGE = 512
SHORT_SIDES = (256, 384, 448, 512, 512, 512)  # 512 most often: the models should be best there


@dataclass(frozen=True)
class Crop:
    """A window (left, top, width, height) in pixels of a scene drawn at `short_side`."""

    scene: Scene
    short_side: int
    window: tuple[int, int, int, int]


def draw_crop(number: int, side: int = CROP) -> Crop:
    """The crop of sample `number`: it holds the centre of the scene's first thing."""
    rng = np.random.default_rng([number, side])
    seed = int(rng.integers(TRAINING_SEEDS.start, TRAINING_SEEDS.stop))
    scene = draw_scene(seed, float(rng.choice([1.0, 1.0, 4 / 3, 3 / 4])))
    short = int(rng.choice(SHORT_SIDES)) if side == CROP else side
    corner = []
    for size, centre in zip(picture_size(scene, short), scene.things[0].centre, strict=True):
        middle, margin = centre * short, side // 6
        low, high = max(0, middle + margin - side), min(size - side, middle - margin)
        corner.append(int(rng.integers(int(min(low, high)), int(max(low, high)) + 1)))
    left, top = (int(np.clip(c, 0, size - side)) for c, size in zip(corner, picture_size(scene, short), strict=True))
    return Crop(scene, short, (left, top, side, side))
