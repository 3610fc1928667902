"""The autoencoder that all four diffusion pipelines share: 8x down, 4 latent channels.

Trained on small crops of scenes and of "dead leaves" pictures (overlapping random discs, a classical stand-in for the
statistics of photographs). The latents are tied to the pooled picture at first, and gradients are matched only later:
with either from the start, the decoder stays grey.
"""

from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from mic2e_bench.workshop.scenes import TRAINING_SEEDS, draw_scene, render
from mic2e_bench.workshop.train import architectures
from mic2e_bench.workshop.train.latents import to_tensor

CROP, BATCH = 96, 8
DECODER_NOISE = 0.05  # what the decoder must tolerate, in latent units before scaling


def dead_leaves(rng: np.random.Generator, side: int = CROP) -> np.ndarray:
    """Discs of power-law sizes in related colours, float32 (side, side, 3)."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    base, image = rng.uniform(0.1, 0.9, 3), np.zeros((side, side, 3), np.float32)
    for radius in np.sort(4 / rng.uniform(0.02, 1, 40) ** 0.9)[::-1]:
        cx, cy = rng.uniform(-10, side + 10, 2)
        cover = np.clip(radius - np.hypot(x - cx, y - cy) + 0.5, 0, 1)[..., None]
        slope = 1 + (rng.uniform(-0.3, 0.3) * (x - cx) + rng.uniform(-0.3, 0.3) * (y - cy))[..., None] / (radius + 8)
        colour = np.clip(base + rng.normal(0, 0.22) + rng.normal(0, 0.1, 3), 0, 1)
        image = image * (1 - cover) + cover * colour.astype(np.float32) * slope
    return np.clip(image + rng.normal(0, rng.uniform(0, 0.03), image.shape), 0, 1).astype(np.float32)


def scene_crop(rng: np.random.Generator, side: int = CROP) -> np.ndarray:
    """A crop of a training scene drawn at 256 to 512 pixels, flipped and recoloured at random."""
    scene, short = draw_scene(int(rng.integers(TRAINING_SEEDS.stop))), int(rng.choice([256, 384, 512]))
    left, top = (int(v) for v in rng.integers(0, short - side, 2))
    image = render(scene, short, crop=(left, top, side, side))
    return image[:: rng.choice([-1, 1]), :: rng.choice([-1, 1]), rng.permutation(3)]


def gradients(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x[..., 1:, :] - x[..., :-1, :], x[..., :, 1:] - x[..., :, :-1]


class VaeTask:
    """Reconstruction; see `loop.Run` for what a task offers."""

    name, rate, decay = "vae", 2e-3, 0.0
    configuration: ClassVar = {"crop": CROP, "batch": BATCH, "recipe": 1}

    def __init__(self, device: torch.device):
        self.device, self.model = device, architectures.vae()
        self.modules = {"vae": self.model}
        rng = np.random.default_rng(0)
        self.held_out = to_tensor([scene_crop(rng, 192) for _ in range(12)])
        self.held_out_leaves = to_tensor([dead_leaves(rng, 192) for _ in range(6)])

    def loss(self, batch) -> torch.Tensor:
        rng = batch.numpy
        images = [dead_leaves(rng) if rng.random() < 0.2 else scene_crop(rng) for _ in range(BATCH)]
        x = to_tensor(images).to(self.device)
        z = self.model.encode(x).latent_dist.mean.float()
        y = self.model.decode(z + DECODER_NOISE * torch.randn_like(z)).sample.float()
        loss = 0.5 * (y - x).abs().mean() + 2 * (y - x).pow(2).mean() + 1e-4 * z.pow(2).mean()
        if batch.progress > 0.33:
            loss = loss + 0.5 * sum((a - b).abs().mean() for a, b in zip(gradients(y), gradients(x), strict=True))
        tie = max(0.0, 2 * (1 - batch.progress / 0.3))
        if tie:
            loss = loss + tie * (z[:, :3] - 1.5 * F.avg_pool2d(x, 8)).pow(2).mean()
        return loss

    def validate(self) -> dict:
        return {"psnr_db": self.psnr(self.held_out), "leaves_psnr_db": self.psnr(self.held_out_leaves)}

    def psnr(self, x: torch.Tensor) -> float:
        with torch.autocast(self.device.type, torch.bfloat16):
            y = self.model.decode(self.model.encode(x.to(self.device)).latent_dist.mode()).sample
        error = ((y.float().cpu().clamp(-1, 1) - x) / 2).pow(2).mean((1, 2, 3))
        return round(float(-10 * error.log10().mean()), 2)

    @torch.no_grad()
    def finish(self, out) -> None:
        """Write the trained autoencoder to `out/vae/vae`, from where the other trainings take it."""
        spread = float(self.model.encode(self.held_out.to(self.device)).latent_dist.mode().std())
        self.model.register_to_config(scaling_factor=round(1 / spread, 4))  # latents get a standard deviation of 1
        self.model.save_pretrained(out / self.name / "vae")
