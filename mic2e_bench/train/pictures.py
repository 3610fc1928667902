"""Captioned pictures for the two generation models: whole scenes with one thing, as latents."""

from pathlib import Path

import numpy as np
import torch

from mic2e_bench.scenes import TRAINING_SEEDS, Scene, draw_scene, render
from mic2e_bench.train.latents import LatentPool, digest, encode, growing

SIDE, BATCH = 256, 12
START, MOST, EVERY = 1536, 12288, 2.0  # how the pool grows with the steps


def scene_of(number: int) -> Scene:
    """The scene of sample `number`; the sample's caption is the scene's."""
    rng = np.random.default_rng([number, 77])
    return draw_scene(int(rng.integers(TRAINING_SEEDS.start, TRAINING_SEEDS.stop)), most_things=1)


class Pictures:
    """The pool of latents, and batches of them with captions."""

    def __init__(self, vae, out: Path):
        self.vae = vae
        self.pool = LatentPool(out / "latents" / f"pictures-{digest(vae)}" / str(SIDE), self.sample)

    def sample(self, number: int) -> dict[str, torch.Tensor]:
        return {"latents": encode(self.vae, [render(scene_of(number), SIDE)])[0]}

    def batch(self, batch) -> tuple[torch.Tensor, list[str]]:
        """Latents (n, 4, h, w) and captions; a tenth of the captions is empty, for guidance."""
        held = growing(START, MOST, batch.step, EVERY)
        self.pool.grow(held, say=print if batch.step == 0 else None)
        numbers = batch.numpy.integers(0, held, BATCH)
        captions = [scene_of(int(n)).caption if batch.numpy.random() > 0.1 else "" for n in numbers]
        return self.pool.take(numbers)["latents"], captions

    def held_out(self, count: int) -> tuple[torch.Tensor, list[str]]:
        """Samples that the pools never reach."""
        scenes = [scene_of(10**9 + i) for i in range(count)]
        latents = [encode(self.vae, [render(s, SIDE)])[0] for s in scenes]
        return torch.stack(latents).float(), [s.caption for s in scenes]
