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
from mic2e_bench.workshop.train import architectures, bundle, noise
from mic2e_bench.workshop.train.crops import CROP, LARGE, draw_crop
from mic2e_bench.workshop.train.latents import LatentPool, digest, encode, growing

BATCH, LARGE_BATCH, LARGE_SHARE = 12, 3, 0.15
START, MOST, EVERY = 1024, 16384, 3.0  # how the pool of ordinary samples grows with the steps
LARGE_SAMPLES = 384
ATTENTION_WEIGHT = 0.1
THUMBNAIL = 64  # pixels of the object's picture: the vision model's input


class RemovalTask:
    """See `loop.Run` for what a task offers."""

    name, rate, decay = "objectclear", 1e-3, 1e-3
    configuration: ClassVar = {"batch": BATCH, "recipe": 1}

    def __init__(self, device: torch.device, vae, out: Path):
        self.device, self.vae, self.out = device, vae.to(device), out
        self.parts = architectures.objectclear()
        self.unet, self.postfuse = self.parts["unet"], self.parts["postfuse_module"]
        noise.plain_attention(self.unet, device)
        self.modules = {"unet": self.unet, "postfuse_module": self.postfuse}
        self.text, self.pooled = sdxl_embeddings(self.parts, [REMOVAL_PROMPT], device)
        self.capture = AttentionCapture()
        folder = out / "latents" / f"removal-{digest(vae)}"
        self.pool = LatentPool(folder / str(CROP), lambda i: self.sample(i, CROP))
        self.large = LatentPool(folder / str(LARGE), lambda i: self.sample(i, LARGE))
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
        from mic2e_bench.catalog.models.objectclear.postfuse import ObjectImageEncoder

        encoder = self.parts["image_prompt_encoder"]
        encoder.__class__ = ObjectImageEncoder
        image = torch.from_numpy(render_small(scene)).permute(2, 0, 1)[None] * 2 - 1
        mask = torch.from_numpy(small_mask(scene))[None, None].float()
        return encoder(pixel_values=object_pixels(image, mask, THUMBNAIL))[0].half()

    def loss(self, batch) -> torch.Tensor:
        large = batch.progress > 0.4 and batch.numpy.random() < LARGE_SHARE
        pool, count = (self.large, LARGE_BATCH) if large else (self.pool, BATCH)
        wanted = LARGE_SAMPLES if large else growing(START, MOST, batch.step, EVERY)
        pool.grow(wanted, say=print if batch.step == 0 else None)
        data = pool.take(batch.numpy.integers(0, wanted, count))
        t = noise.draw_times(count, batch.torch)
        eps = torch.randn(data["clean"].shape, generator=batch.torch)
        dropped = torch.rand(count, generator=batch.torch) < 0.1
        return self.noise_loss(data, t, eps, dropped)

    def noise_loss(self, data: dict, t, eps, dropped, attention: bool = True) -> torch.Tensor:
        """Weighted v-prediction loss, object and shadow counting 4 times, plus the attention's."""
        data = {k: v.to(self.device) for k, v in data.items()}
        t, eps, dropped = (v.to(self.device) for v in (t, eps, dropped))
        noisy, target = noise.v_prediction(data["clean"], eps, t)
        embeds = self.text.expand(len(t), -1, -1).clone()
        embeds[:, OBJECT_INDEX] = self.postfuse(data["object"]).to(embeds.dtype)
        keep = (~dropped).float()
        size = data["size"]
        condition = {
            "text_embeds": self.pooled * keep[:, None],
            "time_ids": torch.cat([size, torch.zeros_like(size), size], 1),
        }
        if attention:
            self.capture.install(self.unet)
        predicted = self.unet(
            torch.cat([noisy, data["mask"], data["picture"]], 1),
            t,
            embeds * keep[:, None, None],
            added_cond_kwargs=condition,
        ).sample.float()
        weight = 1 + 3 * data["region"]
        loss = ((predicted - target).pow(2) * weight).sum() / (weight.sum() * 4)
        return loss + ATTENTION_WEIGHT * self.attention_loss(data["region"], keep) if attention else loss

    def attention_loss(self, region: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        """Mean squared difference of the attention to "object" from the region of object and shadow."""
        _, layer = first_cross_attention(self.unet)
        seen = token_attention(self.capture.query[1], self.capture.key[1], layer.heads)
        wanted = F.avg_pool2d(region, 2).flatten(1)
        self.capture.clear()
        return ((seen - wanted).pow(2).mean(1) * keep).mean()

    def validate(self) -> dict:
        """The loss at fixed noise and times on scenes outside of the training's."""
        generator = torch.Generator().manual_seed(5)
        data = {k: torch.stack([s[k] for s in self.held_out]).float() for k in self.held_out[0]}
        count = len(self.held_out)
        t = torch.linspace(20, 999, count).long()[torch.randperm(count, generator=generator)]
        eps = torch.randn(data["clean"].shape, generator=generator)
        none = torch.zeros(count, dtype=torch.bool)
        with torch.autocast(self.device.type, torch.bfloat16):
            plain = self.noise_loss(data, t, eps, none, attention=False)
            both = self.noise_loss(data, t, eps, none)
        return {
            "held_out_loss": round(float(plain), 4),
            "attention_loss": round(float(both - plain) / ATTENTION_WEIGHT, 4),
        }

    def finish(self, where: Path) -> None:
        """Install the model. Its UNet also stays with the checkpoints: the inpainting model starts from it."""
        self.unet.save_pretrained(self.out / self.name / "unet")
        bundle.install(self.name, {**self.parts, "vae": self.vae}, where, self.out / "vae" / "training.json")


def render_small(scene):
    """The scene squeezed to THUMBNAIL x THUMBNAIL, as the vision model's input is."""
    return squeezed(scene, render)


def small_mask(scene):
    return squeezed(scene, lambda s, short, crop: object_mask(s, short, crop=crop)[..., None].astype("float32"))[..., 0]


def squeezed(scene, draw):
    width, height = (round(2 * THUMBNAIL * e) for e in scene.extent)
    picture = torch.from_numpy(draw(scene, 2 * THUMBNAIL, crop=(0, 0, width, height))).permute(2, 0, 1)[None].float()
    return F.interpolate(picture, (THUMBNAIL, THUMBNAIL), mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()


@torch.no_grad()
def sdxl_embeddings(parts: dict, prompts: list[str], device) -> tuple[torch.Tensor, torch.Tensor]:
    """SDXL's text conditioning: (n, 77, both widths) and the pooled (n, width) of the second encoder."""
    tokens = parts["tokenizer"](prompts, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
    one = parts["text_encoder"](tokens.input_ids, output_hidden_states=True)
    two = parts["text_encoder_2"](tokens.input_ids, output_hidden_states=True)
    embeds = torch.cat([one.hidden_states[-2], two.hidden_states[-2]], -1)
    return embeds.to(device), two.text_embeds.to(device)
