"""Figures of the two generation models: do pictures show what their captions say, by steps and size, beside chance."""

from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from mic2e_bench.catalog.metrics.perceptual import backbone, lpips
from mic2e_bench.workshop.scenes import EVALUATION_SEEDS, draw_scene, render
from mic2e_bench.workshop.train.contact import contact_sheet
from mic2e_bench.workshop.train.picture_check import rates

CAPTIONS, BATCH, STEPS = 120, 8, (1, 2, 4, 8)
SIZE, OTHER_SIZES = 256, (128, 512)  # pixels
COMPARED = 24  # pictures of which the distance to the 8-step picture is taken


def load(name: str, folder: Path):
    import diffusers

    kind = diffusers.FluxPipeline if name == "flux-schnell" else diffusers.ZImagePipeline
    pipe = kind.from_pretrained(folder, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def generate(name: str, pipe, captions: list[str], steps: int, size: int, seed: int = 0) -> list[np.ndarray]:
    """Pictures, float RGB in [0, 1]; one generator a picture, so that they don't depend on the batch."""
    more = {"max_sequence_length": 256} if name == "flux-schnell" else {}
    pictures = []
    for at in range(0, len(captions), BATCH):
        some = captions[at : at + BATCH]
        seeds = [torch.Generator().manual_seed(seed * 1000 + at + k) for k in range(len(some))]
        pictures += [
            *pipe(
                prompt=some, height=size, width=size, num_inference_steps=steps, guidance_scale=0.0, generator=seeds,
                output_type="np", **more,
            ).images
        ]  # fmt: skip
    return pictures


def evaluate(name: str, folder: Path, say, most: int | None = None) -> dict:
    """The caption check by steps at 256 pixels, and at 8 steps by size; distances to the 8-step pictures."""
    pipe, seeds = load(name, folder), EVALUATION_SEEDS[500:]  # apart from those of the bundled inputs
    chosen = [draw_scene(seed, most_things=1) for seed in seeds[: most or CAPTIONS]]
    words = [(s.things[0].colour, s.things[0].shape) for s in chosen]
    captions = [s.caption for s in chosen]
    pictures, table = {}, {"drawn scenes": rates([render(s, SIZE) for s in chosen], words)}
    for steps in STEPS:
        pictures[steps] = generate(name, pipe, captions, steps, SIZE)
        table[f"{steps} steps"] = rates(pictures[steps], words)
        say(f"{name}: {steps} steps done, {table[f'{steps} steps']}")
    sizes = {SIZE: pictures[STEPS[-1]][:COMPARED]}
    sizes |= {size: generate(name, pipe, captions[:COMPARED], STEPS[-1], size) for size in OTHER_SIZES}
    for size in sorted(sizes):
        row = f"{STEPS[-1]} steps, {size} px, {COMPARED} captions"
        table[row] = rates(sizes[size], words[:COMPARED])
    best = pictures[STEPS[-1]][:COMPARED]
    other = generate(name, pipe, captions[:COMPARED], STEPS[-1], SIZE, seed=1)
    far = {str(s): distance(pictures[s][:COMPARED], best) for s in STEPS[:-1]} | {"another seed": distance(other, best)}
    order = [far[str(s)] for s in STEPS[:-1]]
    return {
        "settings": {"size": SIZE, "guidance": 0.0},
        "lpips_backbone": backbone(),
        "captions": len(chosen),
        "caption_check": table,
        "lpips_to_8_steps": far,
        "spearman_steps_lpips": round(float(spearmanr(STEPS[:-1], order).statistic), 3),
        "sheet": contact_sheet([row[:12] for row in (*pictures.values(), *map(sizes.get, OTHER_SIZES))], 132),
    }


def distance(some: list[np.ndarray], others: list[np.ndarray]) -> float:
    return round(float(np.mean([lpips(a, b) for a, b in zip(some, others, strict=True)])), 4)
