"""Training of the small ObjectClear: the object leaves with its shadow and reflection.

Conditioning is what the pipeline gives at inference: the UNet sees [noisy latents, object mask, latents of the whole
picture], the text with the postfuse module's output in place of the word "object", zeros where there is no condition.
The target is the clean plate, the mask the object's alone: the shadow is for the model to find. The first
cross-attention layer learns to look at the word "object" from the object and its shadow, as in the paper, because
attention-guided fusion reads that map.
"""

from pathlib import Path
from typing import ClassVar

import torch
from torch.nn import functional as F

from mic2e_bench.catalog.models.objectclear.capture import AttentionCapture, first_cross_attention, token_attention
from mic2e_bench.catalog.models.objectclear.inputs import OBJECT_INDEX
from mic2e_bench.catalog.models.objectclear.postfuse import object_pixels
from mic2e_bench.workshop.scenes import object_mask, render, shadow_mask
from mic2e_bench.workshop.scenes.words import REMOVAL_PROMPT
from mic2e_bench.workshop.train import architectures, bundle, editing, noise
from mic2e_bench.workshop.train.crops import CROP, draw_crop
from mic2e_bench.workshop.train.latents import digest, encode, squeeze, together

START, MOST, LARGE_SAMPLES = 1024, 16384, 384  # of the pools
ATTENTION_WEIGHT = 0.1
THUMBNAIL = 64  # pixels of the object's picture: the vision model's input


class RemovalTask:
    """See `loop.Run` for what a task offers."""

    name, rate, decay = "objectclear", 1e-3, 1e-3
    configuration: ClassVar = {"batch": editing.BATCHES[CROP], "recipe": 1}

    def __init__(self, device: torch.device, vae, out: Path):
        self.device, self.vae, self.out = device, vae.to(device), out
        self.parts = architectures.objectclear()
        self.unet, self.postfuse = self.parts["unet"], self.parts["postfuse_module"]
        noise.plain_attention(self.unet, device)
        self.modules = {"unet": self.unet, "postfuse_module": self.postfuse}
        self.text, self.pooled = editing.sdxl_embeddings(self.parts, [REMOVAL_PROMPT], device)
        self.capture = AttentionCapture()
        folder = out / "latents" / f"removal-{digest(vae)}"
        self.crops = editing.Crops(folder, self.sample, start=START, most=MOST, large=LARGE_SAMPLES)
        self.held_out = [self.sample(-1 - i, CROP) for i in range(48)]

    def sample(self, number: int, side: int) -> dict[str, torch.Tensor]:
        """Latents with and without the object, masks at latent size, the object's embedding, the picture's size.

        Held-out samples have negative numbers, which the pools never reach.
        """
        crop = draw_crop(number if number >= 0 else 10**9 - number, side)
        scene, short, window = crop.scene, crop.short_side, crop.window
        latents = encode(self.vae, [render(scene, short, crop=window), render(scene, short, without=(0,), crop=window)])
        mask = torch.from_numpy(object_mask(scene, short, crop=window))
        shadow = torch.from_numpy(shadow_mask(scene, short, crop=window))
        region = F.max_pool2d((mask | shadow)[None].float(), 8)
        width, height = (round(short * e) for e in scene.extent)
        return {
            "picture": latents[0],
            "clean": latents[1],
            "mask": mask[None, ::8, ::8].half(),
            "region": region.half(),
            "object": self.object_embedding(scene),
            "size": torch.tensor([height, width]).half(),
        }

    @torch.no_grad()
    def object_embedding(self, scene) -> torch.Tensor:
        """The vision model's embedding of the object alone, from the whole scene drawn at thumbnail size."""
        image = squeeze(render(scene, 2 * THUMBNAIL), THUMBNAIL)[None] * 2 - 1
        mask = squeeze(object_mask(scene, 2 * THUMBNAIL)[..., None], THUMBNAIL)[None]
        pixels = object_pixels(image, mask, THUMBNAIL)
        return self.parts["image_prompt_encoder"](pixel_values=pixels)[0].half()

    def loss(self, batch) -> torch.Tensor:
        _, _, data = self.crops.batch(batch)
        return self.noise_loss(data, editing.draw_noise(data["clean"].shape, batch.torch))

    def noise_loss(self, data: dict, drawn: editing.Noise, attention: bool = True) -> torch.Tensor:
        """Weighted v-prediction loss, object and shadow counting 4 times, plus the attention's."""
        data = {k: v.to(self.device) for k, v in data.items()}
        t, eps, dropped = (v.to(self.device) for v in drawn)
        embeds = self.text.expand(len(t), -1, -1).clone()
        embeds[:, OBJECT_INDEX] = self.postfuse(data["object"]).to(embeds.dtype)
        if attention:
            self.capture.install(self.unet)
        roles = ("clean", "picture", "region")
        loss = editing.weighted_loss(self.unet, data, roles, (embeds, self.pooled), (t, eps, dropped))
        return loss + ATTENTION_WEIGHT * self.attention_loss(data["region"], ~dropped) if attention else loss

    def attention_loss(self, region: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        """Mean squared difference of the attention to "object" from the region of object and shadow."""
        _, layer = first_cross_attention(self.unet)
        seen = token_attention(self.capture.query[1], self.capture.key[1], layer.heads)
        wanted = F.avg_pool2d(region, 2).flatten(1)
        self.capture.clear()
        return ((seen - wanted).pow(2).mean(1) * keep).mean()

    def validate(self) -> dict:
        """The loss at fixed noise and times on scenes outside of the training's."""
        data = together(self.held_out)
        drawn = editing.fixed_noise(data["clean"].shape)
        with torch.autocast(self.device.type, torch.bfloat16):
            plain = self.noise_loss(data, drawn, attention=False)
            both = self.noise_loss(data, drawn)
        return {
            "held_out_loss": round(float(plain), 4),
            "attention_loss": round(float(both - plain) / ATTENTION_WEIGHT, 4),
        }

    def finish(self, where: Path) -> None:
        """Install the model. Its UNet also stays with the checkpoints: the inpainting model starts from it."""
        self.unet.save_pretrained(self.out / self.name / "unet")
        bundle.install(self.name, {**self.parts, "vae": self.vae}, where, self.out / "vae" / "training.json")
