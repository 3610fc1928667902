"""Training of the small SDXL inpainting model: what is under the mask is painted anew after the prompt.

Two thirds of the samples ask for the background ("blue and white stripes") under the mask of a thing that is not
there or under a box, half of them with the thing's shadow left beside the mask; one third asks for the thing ("a red
star"). The UNet starts from the removal model's, which has the same shape and already knows the scenes.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from scipy.ndimage import binary_dilation

from mic2e_bench.workshop.scenes import object_mask, render
from mic2e_bench.workshop.scenes.example import box_of
from mic2e_bench.workshop.train import architectures, bundle, noise
from mic2e_bench.workshop.train.crops import CROP, LARGE, draw_crop
from mic2e_bench.workshop.train.latents import LatentPool, digest, encode, growing
from mic2e_bench.workshop.train.loop import TrainingError
from mic2e_bench.workshop.train.removal import sdxl_embeddings

BATCH, LARGE_BATCH, LARGE_SHARE = 12, 3, 0.15
SHADOW_LEFT = 0.5  # of the samples that ask for the background
START, MOST, EVERY, LARGE_SAMPLES = 640, 12288, 3.0, 128


def prompt_of(number: int, side: int) -> tuple[bool, str]:
    """Whether sample `number` asks for the thing, and its prompt."""
    scene = draw_crop(number, side).scene
    thing = np.random.default_rng([number, side, 5]).random() < 0.35
    phrase = scene.things[0].phrase
    return thing, (f"{'an' if phrase[0] == 'o' else 'a'} {phrase}" if thing else scene.background_phrase)


def mask_of(crop, rng: np.random.Generator) -> np.ndarray:
    """The first thing's mask, a little grown, or its box; bool (height, width)."""
    mask = object_mask(crop.scene, crop.short_side, crop=crop.window)
    if mask.any() and rng.random() < 0.3:
        left, top, right, bottom = box_of(mask)
        mask = mask.copy()
        mask[max(0, top - 8) : bottom + 8, max(0, left - 8) : right + 8] = True
        return mask
    return binary_dilation(mask, iterations=int(rng.integers(1, 13)))


class InpaintTask:
    """See `loop.Run` for what a task offers."""

    name, rate, decay = "sdxl-inpaint", 7e-4, 1e-3
    configuration: ClassVar = {"batch": BATCH, "recipe": 2}

    def __init__(self, device: torch.device, vae, out: Path):
        self.device, self.vae, self.vae_facts = device, vae.to(device), out / "vae" / "training.json"
        self.pipe = architectures.sdxl_inpaint()
        self.pipe.register_modules(vae=self.vae)
        self.unet = self.pipe.unet
        start_from_removal(self.unet, out)
        noise.plain_attention(self.unet, device)
        self.modules = {"unet": self.unet}
        folder = out / "latents" / f"inpaint-2-{digest(vae)}"
        self.pools = {
            side: LatentPool(folder / str(side), lambda i, side=side: self.sample(i, side)) for side in (CROP, LARGE)
        }
        self.held_out = [self.sample(10**8 + i, CROP) for i in range(36)]

    def sample(self, number: int, side: int) -> dict[str, torch.Tensor]:
        crop = draw_crop(number, side)
        thing, _ = prompt_of(number, side)
        rng = np.random.default_rng([number, side, 6])
        mask = mask_of(crop, rng)
        picture = render(crop.scene, crop.short_side, without=() if thing else (0,), crop=crop.window)
        if not thing and rng.random() < SHADOW_LEFT:
            before = render(crop.scene, crop.short_side, crop=crop.window)
            picture = np.where(mask[..., None], picture, before)
        latents = encode(self.vae, [picture, np.where(mask[..., None], 0.5, picture)])  # SDXL's hole is mid-grey
        small = torch.from_numpy(mask)[None, ::8, ::8]
        size = [round(crop.short_side * e) for e in crop.scene.extent[::-1]]
        return {"picture": latents[0], "masked": latents[1], "mask": small.half(), "size": torch.tensor(size).half()}

    def loss(self, batch) -> torch.Tensor:
        large = batch.progress > 0.4 and batch.numpy.random() < LARGE_SHARE
        side, count = (LARGE, LARGE_BATCH) if large else (CROP, BATCH)
        held = LARGE_SAMPLES if large else growing(START, MOST, batch.step, EVERY)
        self.pools[side].grow(held, say=print if batch.step == 0 else None)
        numbers = batch.numpy.integers(0, held, count)
        t = noise.draw_times(count, batch.torch)
        data = self.pools[side].take(numbers)
        eps = torch.randn(data["picture"].shape, generator=batch.torch)
        dropped = torch.rand(count, generator=batch.torch) < 0.1
        return self.noise_loss(data, [prompt_of(int(n), side)[1] for n in numbers], t, eps, dropped)

    def noise_loss(self, data: dict, prompts: list[str], t, eps, dropped) -> torch.Tensor:
        """v-prediction loss, the masked part counting 4 times."""
        data = {k: v.to(self.device) for k, v in data.items()}
        t, eps, keep = t.to(self.device), eps.to(self.device), (~dropped).float().to(self.device)
        embeds, pooled = sdxl_embeddings(self.pipe.components, prompts, self.device)
        noisy, target = noise.v_prediction(data["picture"], eps, t)
        size = data["size"]
        condition = {
            "text_embeds": pooled * keep[:, None],
            "time_ids": torch.cat([size, torch.zeros_like(size), size], 1),
        }
        predicted = self.unet(
            torch.cat([noisy, data["mask"], data["masked"]], 1),
            t,
            embeds * keep[:, None, None],
            added_cond_kwargs=condition,
        ).sample.float()
        weight = 1 + 3 * data["mask"]
        return ((predicted - target).pow(2) * weight).sum() / (weight.sum() * 4)

    def validate(self) -> dict:
        """The loss at fixed noise and times on samples that the pools never reach."""
        generator, count = torch.Generator().manual_seed(5), len(self.held_out)
        data = {k: torch.stack([s[k] for s in self.held_out]).float() for k in self.held_out[0]}
        t = torch.linspace(20, 999, count).long()[torch.randperm(count, generator=generator)]
        eps = torch.randn(data["picture"].shape, generator=generator)
        prompts = [prompt_of(10**8 + i, CROP)[1] for i in range(count)]
        with torch.autocast(self.device.type, torch.bfloat16):
            loss = self.noise_loss(data, prompts, t, eps, torch.zeros(count, dtype=torch.bool))
        return {"held_out_loss": round(float(loss), 4)}

    def finish(self, where: Path) -> None:
        bundle.install(self.name, self.pipe, where, self.vae_facts)


def start_from_removal(unet: UNet2DConditionModel, out: Path) -> None:
    """Copy the averaged weights of the removal model's UNet, if it was trained under `out`."""
    folder = out / "objectclear" / "unet"
    if not (folder / "config.json").exists():
        return
    try:
        unet.load_state_dict(UNet2DConditionModel.from_pretrained(folder).state_dict())
    except Exception as error:  # safetensors and torch raise their own types; the cause is kept
        raise TrainingError(f"{folder} is damaged ({type(error).__name__}); delete it to start without it") from error
