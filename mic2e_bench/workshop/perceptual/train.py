"""Teach the network, on drawn scenes, that a higher level of any change is a larger distance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mic2e_bench.catalog.metrics.backbones.standin import FOLDER, WIDTHS, Network, save
from mic2e_bench.workshop.perceptual.grades import CHANGES, clouds
from mic2e_bench.workshop.scenes import TRAINING_SEEDS, draw_scene, render
from mic2e_bench.workshop.scenes.example import to_bytes

SCENES, SIZE, CROP, BATCH = 1500, 128, 96, 16
STEPS = 3000
STEEPNESS = 4.0  # of the loss: a factor of 1.5 between two distances is told with a probability of 5 in 6


class Task:
    """What ``mic2e_bench.workshop.train.loop`` needs to know of a training."""

    name = FOLDER.name
    rate, decay, device = 2e-3, 1e-4, torch.device("cpu")

    def __init__(self, scenes: int = SCENES) -> None:
        torch.manual_seed(0)
        self.configuration = {"widths": list(WIDTHS), "scenes": scenes}
        self.network = Network()
        self.modules = {"network": self.network}
        drawn = [draw_scene(seed) for seed in TRAINING_SEEDS[:scenes]]
        self.pictures = torch.stack([picture(scene) for scene in drawn])
        self.plates = torch.stack([picture(scene, without=(0,)) for scene in drawn])

    def loss(self, batch: Any) -> Tensor:
        """One kind of change on one batch; one batch in 14 fades the object out."""
        rng = batch.numpy
        kind = rng.integers(len(CHANGES) + 1)
        with torch.autocast("cpu", enabled=False):  # small differences of features are what is learned
            if kind == len(CHANGES):
                return self._fading(rng)
            images = self._crops(rng.integers(len(self.pictures), size=BATCH), rng)
            levels = rng.integers(1, 9, BATCH)
            return order(self._changed(CHANGES[kind], images, levels, rng), torch.from_numpy(levels))

    def _fading(self, rng: np.random.Generator) -> Tensor:
        """Four scenes whose object is gone to four degrees; levels of one scene only can be compared."""
        numbers = np.repeat(rng.integers(len(self.pictures), size=4), 4)
        levels = torch.from_numpy(rng.permuted(np.tile(np.arange(1, 9), (4, 1)), axis=1)[:, :4].ravel())
        image = self.pictures[numbers].float() / 255
        faded = image + (self.plates[numbers].float() / 255 - image) * (levels / 8).view(-1, 1, 1, 1)
        distances = self._distances(image, faded)
        return sum(order(distances[i : i + 4], levels[i : i + 4]) for i in range(0, 16, 4)) / 4

    def _crops(self, numbers: np.ndarray, rng: np.random.Generator) -> Tensor:
        """Pieces of scenes, most of them under clouds: drawn scenes are smoother than photographs."""
        top, left = rng.integers(0, SIZE - CROP + 1, 2)
        images = self.pictures[numbers, :, top : top + CROP, left : left + CROP].float() / 255
        if rng.random() < 0.6:
            images = images + float(rng.uniform(0, 0.15)) * clouds(tuple(images.shape), rng)
        return images.clamp(0, 1)

    def _changed(self, change: Any, images: Tensor, levels: np.ndarray, rng: np.random.Generator) -> Tensor:
        """How far images are from themselves with a change of such levels."""
        changed = [change(image, int(level), rng) for image, level in zip(images, levels, strict=True)]
        return self._distances(images, torch.stack(changed).clamp(0, 1))

    def _distances(self, one: Tensor, other: Tensor) -> Tensor:
        return self.network.distance(self.network.features(one), self.network.features(other))

    def validate(self) -> dict[str, float]:
        """The share of unequal levels that are told apart, on a fixed set of crops and changes."""
        rng, right = np.random.default_rng(0), []
        for change in CHANGES:
            images, levels = self._crops(np.arange(BATCH) % len(self.pictures), rng), rng.integers(1, 9, BATCH)
            distances = self._changed(change, images, levels, rng).numpy()
            higher = levels[:, None] > levels
            right.append((distances[:, None] > distances)[higher].mean())
        return {"told_apart": round(float(np.mean(right)), 4)}

    def finish(self, where: Path) -> None:
        """Set the scale and store the weights."""
        with torch.no_grad():
            self.network.scale.fill_(1)
            images = self.pictures[:256].float() / 255
            self.network.scale.div_(self._distances(images, images.roll(1, 0)).mean())
        save(self.network, where / self.name)


def picture(scene: Any, without: tuple[int, ...] = ()) -> Tensor:
    """A scene as bytes (3, 128, 128)."""
    return torch.from_numpy(to_bytes(render(scene, SIZE, without=without))).permute(2, 0, 1)


def order(distances: Tensor, levels: Tensor) -> Tensor:
    """How far the order of distances (n,) is from that of levels (n,): a logistic loss on all pairs."""
    logs = torch.log(distances + 1e-6)
    higher = levels[:, None] > levels
    if not higher.any():
        return logs.sum() * 0
    return functional.softplus(-STEEPNESS * (logs[:, None] - logs)[higher]).mean()
