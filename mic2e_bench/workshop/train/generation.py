"""Training of the small FLUX and the small Z-Image: rectified flow on captioned scenes, guidance learned in.

The published models are distilled to few steps from a guided teacher and are called without guidance. These learn the
guided velocity directly: after two fifths of the training the target moves away from what the model itself predicts
for the empty caption (Tang et al. 2025, "Diffusion models without classifier-free guidance", arXiv:2502.12154), but not
where nearly all is noise (Kynkäänniemi et al. 2024, "Applying guidance in a limited interval", arXiv:2404.07724). Noise
levels lean to the noisy end, where composition is decided; the thing counts four times.
"""

from abc import ABC, abstractmethod
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from diffusers import FluxPipeline

from mic2e_bench.workshop.train import architectures, bundle, noise, picture_check
from mic2e_bench.workshop.train.reading import Reader
from mic2e_bench.workshop.train.samples import SIDE, Pictures

# FLUX pads its prompt to a length, 256 in the published recipe; short ones train faster, long ones must be known
TEXT_LENGTHS, LENGTH_SHARES = (32, 64, 256), (0.7, 0.2, 0.1)
GUIDED_FROM, PUSH = 0.4, 0.5  # share of the training; the learned guidance scale is 1 / (1 - PUSH) = 2
GUIDED_BELOW = 0.85  # noise level; above it guidance smears the thing over all of its likely places
READING_WEIGHT, THING_WEIGHT, DROPPED = 0.1, 4.0, 0.1


class Text(NamedTuple):
    """A batch of captions as the denoiser takes them, and the vectors that a reader must understand."""

    embeds: torch.Tensor | list[torch.Tensor]
    summaries: list[torch.Tensor]


def draw_levels(count: int, generator: torch.Generator) -> torch.Tensor:
    """Noise levels in (0, 1), one in each of `count` equally likely parts of a logistic-normal around 0.6."""
    even = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    levels = torch.sigmoid(0.4 + 1.2 * torch.special.ndtri(even.clamp(1e-4, 1 - 1e-4)))
    return levels[torch.randperm(count, generator=generator)]


class GenerationTask(ABC):
    """See `loop.Run` for what a task offers; a model adds how captions are read and the transformer is called."""

    name: str
    widths: tuple[int, ...]  # of the text's summaries
    decay = 1e-3
    configuration: ClassVar = {"recipe": 2}

    def __init__(self, device: torch.device, vae, out: Path):
        self.device, self.pipe = device, bundle.BUILDERS[self.name]()
        self.pipe.register_modules(vae=architectures.flow_vae(vae.to(device)))
        torch.manual_seed(architectures.SEEDS[self.name])
        self.reader = Reader(self.widths)
        learning = ("transformer", "text_encoder", "text_encoder_2")
        self.modules = {n: m for n, m in self.pipe.components.items() if n in learning} | {"reader": self.reader}
        for module in self.modules.values():
            module.to(device).requires_grad_(True)
        self.pictures, self.vae_facts = Pictures(vae, out), out / "vae" / "training.json"
        self.known = self.pictures.held_out(36)

    @abstractmethod
    def read(self, captions: list[str], length: int) -> Text:
        """Captions as the pipeline encodes them, padded to `length` tokens where the pipeline pads."""

    @abstractmethod
    def velocity(self, noisy: torch.Tensor, levels: torch.Tensor, text: Text) -> torch.Tensor:
        """Noisy latents (n, 4, h, w) and levels (n,) to the predicted velocity (n, 4, h, w), float32."""

    def loss(self, batch) -> torch.Tensor:
        """Squared error of the velocity, the thing counting THING_WEIGHT times, and the reader's loss."""
        sample = self.pictures.batch(batch)
        count, side = len(sample.scenes), 8 * sample.latents.shape[-1]
        levels = draw_levels(count, batch.torch)
        eps = torch.randn(sample.latents.shape, generator=batch.torch)
        shown = torch.rand(count, generator=batch.torch) >= DROPPED
        length = int(batch.numpy.choice(TEXT_LENGTHS, p=LENGTH_SHARES)) if side == SIDE else TEXT_LENGTHS[0]
        captions = [s.caption if here else "" for s, here in zip(sample.scenes, shown, strict=True)]
        noisy, target = (v.to(self.device) for v in noise.flow(sample.latents, eps, levels))
        levels, shown = levels.to(self.device), shown.to(self.device)
        text = self.read(captions, length)
        predicted = self.velocity(noisy, levels, text)
        if batch.progress > GUIDED_FROM:
            with torch.no_grad():
                empty = self.velocity(noisy, levels, self.read([""] * len(captions), length))
            pushed = (shown & (levels < GUIDED_BELOW))[:, None, None, None]
            target = target + PUSH * (predicted.detach() - empty) * pushed
        weight = 1 + (THING_WEIGHT - 1) * sample.covered.to(self.device)
        loss = ((predicted - target).pow(2) * weight).sum() / (weight.sum() * target.shape[1])
        return loss + READING_WEIGHT * self.reader.loss(text.summaries, sample.scenes, shown)

    def validate(self) -> dict:
        """The plain loss on held-out pictures, which guidance raises, and the rates of the caption check."""
        sample = self.known
        eps = torch.randn(sample.latents.shape, generator=torch.Generator().manual_seed(5))
        with torch.autocast(self.device.type, torch.bfloat16):
            levels = torch.linspace(0.02, 0.98, len(sample.scenes))
            noisy, target = (v.to(self.device) for v in noise.flow(sample.latents, eps, levels))
            text = self.read([s.caption for s in sample.scenes], 64)
            loss = (self.velocity(noisy, levels.to(self.device), text) - target).pow(2).mean()
        return {"held_out_loss": round(float(loss), 4)} | self.captions_met(text, eps)

    def captions_met(self, text: Text, eps: torch.Tensor, steps: int = 8) -> dict[str, float]:
        """Rates of the caption check on the held-out captions, by plain Euler steps, and what chance gives."""
        latents, levels = eps.to(self.device), torch.linspace(1, 0, steps + 1, device=self.device)
        for here, there in pairwise(levels):
            latents = latents + (there - here) * self.velocity(latents, here.expand(len(latents)), text)
        pictures = []
        for one in latents:
            decoded = self.pipe.vae.decode(one[None].float() / self.pipe.vae.config.scaling_factor).sample[0]
            pictures.append((decoded / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).cpu().numpy())
        things = [scene.things[0] for scene in self.known.scenes]
        rates = picture_check.rates(pictures, [(t.colour, t.shape) for t in things])
        return {k: round(rates[k], 3) for k in ("colour", "colour_by_chance", "colour_and_shape")}

    def finish(self, where: Path) -> None:
        bundle.install(self.name, self.pipe, where, self.vae_facts)


class FluxTask(GenerationTask):
    name, rate, widths = "flux-schnell", 1.5e-3, (128, 64)

    def read(self, captions: list[str], length: int) -> Text:
        embeds, pooled, _ = self.pipe.encode_prompt(captions, None, self.device, max_sequence_length=length)
        return Text(embeds, [embeds.mean(1), pooled])

    def velocity(self, noisy: torch.Tensor, levels: torch.Tensor, text: Text) -> torch.Tensor:
        height, width = noisy.shape[2:]
        places = FluxPipeline._prepare_latent_image_ids(1, height // 2, width // 2, self.device, torch.float32)
        predicted = self.pipe.transformer(
            hidden_states=FluxPipeline._pack_latents(noisy, *noisy.shape),
            timestep=levels,
            encoder_hidden_states=text.embeds,
            pooled_projections=text.summaries[1],
            txt_ids=torch.zeros(text.embeds.shape[1], 3, device=self.device),
            img_ids=places,
            return_dict=False,
        )[0]
        return FluxPipeline._unpack_latents(predicted.float(), height * 8, width * 8, 8)


class ZImageTask(GenerationTask):
    name, rate, widths = "z-image-turbo", 1.2e-3, (128,)

    def read(self, captions: list[str], length: int) -> Text:
        embeds, _ = self.pipe.encode_prompt(
            list(captions), self.device, do_classifier_free_guidance=False, max_sequence_length=64
        )
        return Text(embeds, [torch.stack([e.mean(0) for e in embeds])])

    def velocity(self, noisy: torch.Tensor, levels: torch.Tensor, text: Text) -> torch.Tensor:
        """Z-Image's clock runs backwards and its output is negated."""
        found = self.pipe.transformer(list(noisy.unsqueeze(2)), 1 - levels, text.embeds, return_dict=False)[0]
        return -torch.stack(list(found)).squeeze(2).float()
