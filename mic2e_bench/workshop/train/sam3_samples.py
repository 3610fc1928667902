"""What the small SAM3 learns from: whole scenes squeezed to the model's square input, as its processor does it."""

import itertools

import numpy as np

from mic2e_bench.workshop.scenes import draw_scene, object_mask, render
from mic2e_bench.workshop.scenes.example import box_of, inner_point
from mic2e_bench.workshop.train import sam3_parts
from mic2e_bench.workshop.train.latents import squeeze

LOW = 4 * sam3_parts.GRID  # side of a predicted mask
ASPECTS = (1.0, 1.0, 4 / 3, 3 / 4, 1.5)


class SceneSample:
    """A scene as the model sees it: picture, and for each thing a soft mask, a box, points and a phrase."""

    def __init__(self, rng: np.random.Generator, seed: int, least: int = 1):
        """least: things wanted; seeds are tried upwards until a scene has as many."""
        aspect, short, side = float(rng.choice(ASPECTS)), 224, sam3_parts.SIZE
        tried = (draw_scene(seed + i, aspect) for i in itertools.count())
        self.scene = next(scene for scene in tried if len(scene.things) >= least)
        self.image = squeeze(render(self.scene, short), side) * 2 - 1
        self.outlines = [object_mask(self.scene, short, k) for k in range(len(self.scene.things))]
        height, width = self.outlines[0].shape
        self.scale = np.array([side / width, side / height])
        self.masks = [squeeze(m[..., None], LOW)[0] for m in self.outlines]
        self.phrases = [t.phrase for t in self.scene.things]

    def box(self, which: int) -> np.ndarray:
        """Corners (2, 2), in the model's pixels."""
        return np.array(box_of(self.outlines[which])).reshape(2, 2) * self.scale

    def point(self, which: int, rng: np.random.Generator) -> np.ndarray:
        """x and y of a pixel of the thing, its innermost one every second time."""
        ys, xs = np.nonzero(self.outlines[which])
        pick = int(rng.integers(len(xs)))
        point = (xs[pick], ys[pick]) if rng.random() < 0.5 else inner_point(self.outlines[which])
        return (np.array(point) + 0.5) * self.scale
