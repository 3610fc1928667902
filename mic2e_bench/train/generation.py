"""Training of the small FLUX and the small Z-Image: rectified flow on captioned scenes, full steps only.

The published models are distilled to few steps; these are not. Scenes are simple enough that a plain flow gives a
recognisable picture in four to eight steps. Noise levels lean to the noisy end, where composition is decided.
"""

from pathlib import Path
from typing import ClassVar

import torch
from diffusers import FluxPipeline

from mic2e_bench.train import architectures, noise, store
from mic2e_bench.train.pictures import Pictures

# FLUX pads its prompt to a length, 256 in the published recipe; short ones train faster, long ones must be known
TEXT_LENGTHS, LENGTH_SHARES = (32, 64, 256), (0.7, 0.2, 0.1)


def draw_levels(count: int, generator: torch.Generator) -> torch.Tensor:
    """Noise levels in (0, 1), one in each of `count` equally likely parts of a logistic-normal around 0.6."""
    even = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    levels = torch.sigmoid(0.4 + 1.2 * torch.special.ndtri(even.clamp(1e-4, 1 - 1e-4)))
    return levels[torch.randperm(count, generator=generator)]


class FluxTask:
    """See `loop.Run` for what a task offers."""

    name, rate, decay = "flux-schnell", 1.5e-3, 1e-3
    configuration: ClassVar = {"recipe": 1}

    def __init__(self, device: torch.device, vae, out: Path):
        self.device, self.pipe = device, architectures.flux_schnell()
        self.pipe.register_modules(vae=with_shift(vae.to(device)))
        self.pipe.text_encoder.to(device)
        self.pipe.text_encoder_2.to(device)
        self.modules = {"transformer": self.pipe.transformer}
        self.pictures, self.vae_facts = Pictures(vae, out), out / "vae" / "training.json"
        self.known = self.pictures.held_out(32)

    def loss(self, batch) -> torch.Tensor:
        latents, captions = self.pictures.batch(batch)
        levels = draw_levels(len(latents), batch.torch)
        eps = torch.randn(latents.shape, generator=batch.torch)
        length = int(batch.numpy.choice(TEXT_LENGTHS, p=LENGTH_SHARES))
        return self.velocity_loss(latents, captions, eps, levels, length)

    def velocity_loss(self, latents, captions, eps, levels, length: int = 64) -> torch.Tensor:
        """Mean squared error of the velocity, called as FluxPipeline calls its transformer."""
        noisy, target = (self.pack(v.to(self.device)) for v in noise.flow(latents, eps, levels))
        with torch.no_grad():
            embeds, pooled, text_ids = self.pipe.encode_prompt(captions, None, self.device, max_sequence_length=length)
        places = FluxPipeline._prepare_latent_image_ids(
            1, latents.shape[2] // 2, latents.shape[3] // 2, self.device, torch.float32
        )
        predicted = self.pipe.transformer(
            hidden_states=noisy,
            timestep=levels.to(self.device),
            encoder_hidden_states=embeds,
            pooled_projections=pooled,
            txt_ids=text_ids,
            img_ids=places,
            return_dict=False,
        )[0]
        return (predicted.float() - target).pow(2).mean()

    def pack(self, latents: torch.Tensor) -> torch.Tensor:
        """(n, 4, h, w) to FLUX's tokens (n, h * w / 4, 16)."""
        return FluxPipeline._pack_latents(latents, *latents.shape)

    def validate(self) -> dict:
        return held_out_loss(self)

    def finish(self, where: Path) -> None:
        store.install(self.name, self.pipe, where, self.vae_facts)


class ZImageTask:
    """See `loop.Run` for what a task offers."""

    name, rate, decay = "z-image-turbo", 1.2e-3, 1e-3
    configuration: ClassVar = {"recipe": 1}

    def __init__(self, device: torch.device, vae, out: Path):
        self.device, self.pipe = device, architectures.z_image_turbo()
        self.pipe.register_modules(vae=with_shift(vae.to(device)))
        self.pipe.text_encoder.to(device)
        self.modules = {"transformer": self.pipe.transformer}
        self.pictures, self.vae_facts = Pictures(vae, out), out / "vae" / "training.json"
        self.known = self.pictures.held_out(32)

    def loss(self, batch) -> torch.Tensor:
        latents, captions = self.pictures.batch(batch)
        levels = draw_levels(len(latents), batch.torch)
        return self.velocity_loss(latents, captions, torch.randn(latents.shape, generator=batch.torch), levels)

    def velocity_loss(self, latents, captions, eps, levels) -> torch.Tensor:
        """Mean squared error of the velocity; Z-Image's clock runs backwards and its output is negated."""
        noisy, target = (v.to(self.device) for v in noise.flow(latents, eps, levels))
        with torch.no_grad():
            embeds, _ = self.pipe.encode_prompt(
                list(captions), self.device, do_classifier_free_guidance=False, max_sequence_length=64
            )
        outputs = self.pipe.transformer(
            list(noisy.unsqueeze(2).unbind(0)), (1 - levels).to(self.device), embeds, return_dict=False
        )[0]
        return (-torch.stack(list(outputs)).squeeze(2).float() - target).pow(2).mean()

    def validate(self) -> dict:
        return held_out_loss(self)

    def finish(self, where: Path) -> None:
        store.install(self.name, self.pipe, where, self.vae_facts)


def with_shift(vae):
    """Flow pipelines read the shift of the latents, too; ours have none."""
    vae.register_to_config(shift_factor=0.0)
    return vae


def held_out_loss(task) -> dict:
    """The loss on held-out pictures at fixed noise and evenly spread levels."""
    latents, captions = task.known
    eps = torch.randn(latents.shape, generator=torch.Generator().manual_seed(5))
    with torch.autocast(task.device.type, torch.bfloat16):
        loss = task.velocity_loss(latents, captions, eps, torch.linspace(0.02, 0.98, len(latents)))
    return {"held_out_loss": round(float(loss), 4)}
