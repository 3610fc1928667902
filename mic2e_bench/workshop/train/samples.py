"""Captioned pictures for the two generation models: whole scenes with one thing, as latents, at three sizes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mic2e_bench.workshop.scenes import TRAINING_SEEDS, Scene, draw_scene, render
from mic2e_bench.workshop.scenes.render import coverage
from mic2e_bench.workshop.train.latents import LatentPool, digest, encode, growing

BATCHES = {128: 36, 256: 12, 512: 3}  # pictures a step by side in pixels; on a CPU a step costs about 1, 1.4 and 3.7
MOST = {128: 24576, 256: 12288, 512: 256}
SIDE, START, EVERY = 256, 1536, 2.0  # the side that is asked for most; how the pools grow with the steps


@dataclass(frozen=True)
class LatentSample:
    """Latents (n, 4, side/8, side/8), their scenes, and the share of each latent pixel that the thing covers."""

    latents: torch.Tensor
    scenes: list[Scene]
    covered: torch.Tensor


def scene_of(number: int) -> Scene:
    """The scene of sample `number`; the sample's caption is the scene's."""
    rng = np.random.default_rng([number, 77])
    return draw_scene(int(rng.integers(TRAINING_SEEDS.start, TRAINING_SEEDS.stop)), most_things=1)


def covered(scenes: list[Scene], side: int) -> torch.Tensor:
    """(n, 1, side/8, side/8): how much of each latent pixel is the thing's, 0 to 1."""
    grid = (np.arange(side // 8) + 0.5) / (side // 8)
    x, y = np.meshgrid(grid, grid)
    return torch.from_numpy(np.stack([coverage(s.things[0], x, y, side // 8) for s in scenes]))[:, None].float()


def side_of(batch) -> int:
    """Small pictures teach what goes where, three times as many of them a step; outlines need the real size."""
    small = max(0.1, 0.8 - 1.5 * batch.progress)
    large = 0.05 if batch.progress > 0.4 else 0.0
    return int(batch.numpy.choice(list(BATCHES), p=(small, 1 - small - large, large)))


class Pictures:
    """The pools of latents, and batches of them."""

    def __init__(self, vae, out: Path):
        self.vae = vae
        folder = out / "latents" / f"pictures-{digest(vae)}"
        self.pools = {s: LatentPool(folder / str(s), lambda i, s=s: self.latents(scene_of(i), s)) for s in BATCHES}

    def latents(self, scene: Scene, side: int) -> dict[str, torch.Tensor]:
        return {"latents": encode(self.vae, [render(scene, side)])[0]}

    def batch(self, batch) -> LatentSample:
        side = side_of(batch)
        held = growing(min(START, MOST[side]), MOST[side], batch.step, EVERY)
        self.pools[side].grow(held, say=print if not self.pools[side].samples else None)
        numbers = batch.numpy.integers(0, held, BATCHES[side])
        scenes = [scene_of(int(n)) for n in numbers]
        return LatentSample(self.pools[side].take(numbers)["latents"], scenes, covered(scenes, side))

    def held_out(self, count: int) -> LatentSample:
        """Samples that the pools never reach."""
        scenes = [scene_of(10**9 + i) for i in range(count)]
        latents = torch.stack([self.latents(s, SIDE)["latents"] for s in scenes]).float()
        return LatentSample(latents, scenes, covered(scenes, SIDE))
