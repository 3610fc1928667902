"""What the trainings of the two UNets share: batches of crops, SDXL's conditions, the noise and the weighted loss."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mic2e_bench.workshop.train import noise
from mic2e_bench.workshop.train.crops import CROP, LARGE
from mic2e_bench.workshop.train.latents import LatentPool, growing

BATCHES, LARGE_SHARE = {CROP: 12, LARGE: 3}, 0.15
EVERY = 3.0  # steps after which a pool of ordinary samples has one more
Noise = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # times, noise, which samples have no condition


class Crops:
    """Pools of ordinary samples, ``start`` to ``most`` of them, and of ``large`` ones; ``sample(number, side)``."""

    def __init__(self, folder: Path, sample: Callable[[int, int], dict], *, start: int, most: int, large: int):
        self.start, self.most, self.large = start, most, large
        self.pools = {s: LatentPool(folder / str(s), lambda i, s=s: sample(i, s)) for s in BATCHES}

    def batch(self, batch) -> tuple[int, np.ndarray, dict[str, torch.Tensor]]:
        """Side, numbers and samples of a step; large ones after two fifths of the training, one step in seven."""
        side = LARGE if batch.progress > 0.4 and batch.numpy.random() < LARGE_SHARE else CROP
        held = self.large if side == LARGE else growing(self.start, self.most, batch.step, EVERY)
        self.pools[side].grow(held, say=print if batch.step == 0 else None)
        numbers = batch.numpy.integers(0, held, BATCHES[side])
        return side, numbers, self.pools[side].take(numbers)


def draw_noise(shape: torch.Size, generator: torch.Generator) -> Noise:
    """For a step on latents of this shape (n, 4, h, w); a tenth is dropped."""
    t = noise.draw_times(shape[0], generator)
    return t, torch.randn(shape, generator=generator), torch.rand(shape[0], generator=generator) < 0.1


def fixed_noise(shape: torch.Size) -> Noise:
    """For validation: the same each time, at times over the whole schedule, nothing dropped."""
    generator, count = torch.Generator().manual_seed(5), shape[0]
    t = torch.linspace(20, 999, count).long()[torch.randperm(count, generator=generator)]
    return t, torch.randn(shape, generator=generator), torch.zeros(count, dtype=torch.bool)


def weighted_loss(unet, data: dict, roles: tuple[str, str, str], text, drawn: Noise) -> torch.Tensor:
    """v-prediction loss. roles: what in ``data`` is the target, what is seen beside the mask, what counts 4 times.

    text: embeddings (n or 1, tokens, width) and pooled (n or 1, width), zeros where the condition is dropped.
    """
    target, beside, heavy = (data[role] for role in roles)
    t, eps, keep = drawn[0], drawn[1], (~drawn[2]).float()
    (embeds, pooled), size = text, data["size"]
    noisy, velocity = noise.v_prediction(target, eps, t)
    predicted = unet(
        torch.cat([noisy, data["mask"], beside], 1),
        t,
        embeds * keep[:, None, None],
        added_cond_kwargs={
            "text_embeds": pooled * keep[:, None],
            "time_ids": torch.cat([size, torch.zeros_like(size), size], 1),
        },
    ).sample.float()
    weight = 1 + 3 * heavy
    return ((predicted - velocity).pow(2) * weight).sum() / (weight.sum() * 4)


@torch.no_grad()
def sdxl_embeddings(parts: dict, prompts: list[str], device) -> tuple[torch.Tensor, torch.Tensor]:
    """SDXL's text conditioning: (n, 77, both widths) and the pooled (n, width) of the second encoder."""
    tokens = parts["tokenizer"](prompts, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
    one = parts["text_encoder"](tokens.input_ids, output_hidden_states=True)
    two = parts["text_encoder_2"](tokens.input_ids, output_hidden_states=True)
    embeds = torch.cat([one.hidden_states[-2], two.hidden_states[-2]], -1)
    return embeds.to(device), two.text_embeds.to(device)
