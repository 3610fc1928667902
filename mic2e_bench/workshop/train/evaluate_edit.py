"""Figures of the two editing models on the fixed evaluation scenes: against the truth, and by steps, guidance, size.

Each picture goes through the real pipeline, as a user would call it: resized to the asked short side, called, resized
back. PSNR in dB inside the object and its shadow; LPIPS over the same region, by the backbone that is named beside it.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.stats import spearmanr

from mic2e_bench.catalog.metrics.perceptual import backbone, lpips_within
from mic2e_bench.catalog.models.objectclear.inputs import resize_by_short_side
from mic2e_bench.workshop.scenes import Example
from mic2e_bench.workshop.scenes.evaluation import SCENES, scene_example
from mic2e_bench.workshop.train.contact import contact_sheet
from mic2e_bench.workshop.train.fills import fills

BASELINE = {"steps": 20, "guidance": 2.5, "size": 512, "seed": 0}
STEPS, GUIDANCES, SIZES = (1, 2, 4, 8, 20), (1.0, 2.5, 7.5), (256, 384, 512)


def load(name: str, folder: Path):
    """The pipeline in float32 on the CPU, silent."""
    if name == "objectclear":
        from mic2e_bench.catalog.models.objectclear.pipeline import ObjectClearPipeline

        pipe = ObjectClearPipeline.from_pretrained(folder)
    else:
        from diffusers import StableDiffusionXLInpaintPipeline

        more = {"torch_dtype": torch.float32, "add_watermarker": False}
        pipe = StableDiffusionXLInpaintPipeline.from_pretrained(folder, **more)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def edit(name: str, pipe, example: Example, steps, guidance, size, seed) -> np.ndarray:
    """One call: float RGB in [0, 1] at the example's size."""
    whole = Image.fromarray(example.image)
    image = resize_by_short_side(whole, size)
    mask = resize_by_short_side(Image.fromarray(example.mask), size, "nearest")
    words = {} if name == "objectclear" else {"prompt": example.scene.background_phrase, "strength": 1.0}
    result = pipe(
        image=image, mask_image=mask, width=image.width, height=image.height, num_inference_steps=steps,
        guidance_scale=guidance, generator=torch.Generator().manual_seed(seed), **words,
    ).images[0]  # fmt: skip
    return np.asarray(result.resize(whole.size, Image.Resampling.BICUBIC)).astype(np.float32) / 255


def psnr(a: np.ndarray, b: np.ndarray, region: np.ndarray) -> float:
    return float(-10 * np.log10(((a - b)[region] ** 2).mean() + 1e-8))


def score(picture: np.ndarray, example: Example, baseline: np.ndarray | None = None) -> dict[str, float]:
    """PSNR in the object and in its shadow, both together, outside of both; LPIPS against truth and baseline.

    Inpainting is asked for what is under the object alone: `lpips_object` is its figure, `lpips` has the shadow, too.
    """
    truth, both = example.clean.astype(np.float32) / 255, example.mask | example.shadow
    far = lpips_within(picture, truth, {"both": both, "object": example.mask})
    figures = {
        "psnr": psnr(picture, truth, both),
        "psnr_object": psnr(picture, truth, example.mask),
        "psnr_shadow": psnr(picture, truth, example.shadow),
        "psnr_outside": psnr(picture, truth, ~both),
        "lpips": far["both"],
        "lpips_object": far["object"],
    }
    if baseline is not None:
        figures["lpips_to_baseline"] = lpips_within(picture, baseline, {"r": both})["r"]
    return figures


def mean(rows: list[dict[str, float]]) -> dict[str, float]:
    return {k: round(float(np.mean([r[k] for r in rows])), 4) for k in rows[0]}


def evaluate(name: str, folder: Path, say, most: int | None = None) -> dict:
    """Every table of the model's card, on the first `most` scenes by name, and a contact sheet."""
    pipe = load(name, folder)
    examples = {n: scene_example(n) for n in sorted(SCENES)[:most]}
    tables, pictures = {"comparisons": compare(examples)}, {}
    baseline = {n: edit(name, pipe, e, **BASELINE) for n, e in examples.items()}
    textured = [n for n, e in examples.items() if e.scene.texture.kind != "gradient"]

    def row(**changed) -> dict[str, float]:
        done = {n: edit(name, pipe, e, **(BASELINE | changed)) for n, e in examples.items()} if changed else baseline
        pictures[str(changed)] = done
        say(f"{name}: {changed or 'baseline'} done")
        return mean([score(done[n], e, baseline[n]) for n, e in examples.items()])

    tables["by scene"] = {n: score(baseline[n], e) for n, e in examples.items()}
    tables["textured"] = {
        "model": mean([score(baseline[n], examples[n]) for n in textured]),
        **compare({n: examples[n] for n in textured}),
    }
    tables["baseline"] = row()
    tables["another seed"] = row(seed=1)
    for key, values in {"steps": STEPS, "guidance": GUIDANCES, "size": SIZES}.items():
        tables[key] = {str(v): row(**{key: v}) if v != BASELINE[key] else tables["baseline"] for v in values}
    more = [s for s in STEPS if s > 1]
    to_baseline = [tables["steps"][str(s)]["lpips_to_baseline"] for s in more]
    return {
        "settings": BASELINE,
        "lpips_backbone": backbone(),
        "scenes": len(examples),
        "tables": tables,
        "spearman_steps_lpips": round(float(spearmanr(more, to_baseline).statistic), 3),
        "ceiling": ceiling(pipe.vae, examples),
        "sheet": sheet(examples, pictures),
    }


def compare(examples: dict[str, Example]) -> dict[str, dict[str, float]]:
    """The means of the comparisons that need no model."""
    rows: dict[str, list] = {}
    for example in examples.values():
        for name, picture in fills(example.image.astype(np.float32) / 255, example.mask, example.shadow).items():
            rows.setdefault(name, []).append(score(picture, example))
    return {name: mean(found) for name, found in rows.items()}


@torch.no_grad()
def ceiling(vae, examples: dict[str, Example]) -> dict[str, float]:
    """The truth through the autoencoder alone: the best that any denoiser could reach with it."""
    rows = []
    for example in examples.values():
        x = torch.from_numpy(example.clean).permute(2, 0, 1)[None].float() / 127.5 - 1
        y = vae.decode(vae.encode(x).latent_dist.mode()).sample[0].permute(1, 2, 0).numpy() / 2 + 0.5
        rows.append(score(np.clip(y, 0, 1), example))
    return mean(rows)


def sheet(examples: dict[str, Example], pictures: dict[str, dict[str, np.ndarray]]) -> Image.Image:
    """A row for each scene: input, truth, each number of steps, each size."""
    columns = [f"{{'steps': {s}}}" for s in STEPS[:-1]] + ["{}"] + [f"{{'size': {s}}}" for s in SIZES[:-1]]
    return contact_sheet([[e.image, e.clean, *(pictures[c][n] for c in columns)] for n, e in examples.items()], 160)
