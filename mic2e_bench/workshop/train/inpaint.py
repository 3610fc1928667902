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

from mic2e_bench.errors import BadInput
from mic2e_bench.workshop.scenes import object_mask, render
from mic2e_bench.workshop.scenes.example import box_of
from mic2e_bench.workshop.train import architectures, bundle, editing, noise
from mic2e_bench.workshop.train.crops import CROP, draw_crop
from mic2e_bench.workshop.train.latents import digest, encode, together

SHADOW_LEFT = 0.5  # of the samples that ask for the background
START, MOST, LARGE_SAMPLES = 640, 12288, 128  # of the pools


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
    configuration: ClassVar = {"batch": editing.BATCHES[CROP], "recipe": 2}

    def __init__(self, device: torch.device, vae, out: Path):
        self.device, self.vae, self.vae_facts = device, vae.to(device), out / "vae" / "training.json"
        self.pipe = architectures.sdxl_inpaint()
        self.pipe.register_modules(vae=self.vae)
        self.unet = self.pipe.unet
        start_from_removal(self.unet, out)
        noise.plain_attention(self.unet, device)
        self.modules = {"unet": self.unet}
        folder = out / "latents" / f"inpaint-2-{digest(vae)}"
        self.crops = editing.Crops(folder, self.sample, start=START, most=MOST, large=LARGE_SAMPLES)
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
        side, numbers, data = self.crops.batch(batch)
        prompts = [prompt_of(int(n), side)[1] for n in numbers]
        return self.noise_loss(data, prompts, editing.draw_noise(data["picture"].shape, batch.torch))

    def noise_loss(self, data: dict, prompts: list[str], drawn: editing.Noise) -> torch.Tensor:
        """v-prediction loss, the masked part counting 4 times."""
        data, drawn = {k: v.to(self.device) for k, v in data.items()}, tuple(v.to(self.device) for v in drawn)
        text = editing.sdxl_embeddings(self.pipe.components, prompts, self.device)
        return editing.weighted_loss(self.unet, data, ("picture", "masked", "mask"), text, drawn)

    def validate(self) -> dict:
        """The loss at fixed noise and times on samples that the pools never reach."""
        data = together(self.held_out)
        prompts = [prompt_of(10**8 + i, CROP)[1] for i in range(len(self.held_out))]
        with torch.autocast(self.device.type, torch.bfloat16):
            loss = self.noise_loss(data, prompts, editing.fixed_noise(data["picture"].shape))
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
        raise BadInput(f"{folder} is damaged ({type(error).__name__}); delete it to start without it") from error
