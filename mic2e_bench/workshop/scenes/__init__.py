"""Scenes with known answers: pictures drawn from a seed, with masks, captions and the clean plate.

>>> example = make(seed=7, width=512, height=384)
>>> example.caption, example.box
"""

from mic2e_bench.workshop.scenes.example import Example, make
from mic2e_bench.workshop.scenes.render import object_mask, render, shadow_mask
from mic2e_bench.workshop.scenes.spec import EVALUATION_SEEDS, TRAINING_SEEDS, Scene, draw_scene

__all__ = ["EVALUATION_SEEDS", "TRAINING_SEEDS", "Example", "Scene"]
__all__ += ["draw_scene", "make", "object_mask", "render", "shadow_mask"]
