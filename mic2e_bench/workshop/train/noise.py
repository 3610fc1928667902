"""Noising for training: SDXL's schedule with v-prediction, and rectified flow."""

import torch
from diffusers import DDIMScheduler
from diffusers.models.attention_processor import AttnProcessor

from mic2e_bench.workshop.train.architectures import NOISE

SCHEDULE = DDIMScheduler(**NOISE)


def draw_times(count: int, generator: torch.Generator) -> torch.Tensor:
    """Times 0 to 999, one in each of `count` equal parts, in random order: evener than independent draws."""
    even = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    return (1000 * even).long().clamp(max=999)[torch.randperm(count, generator=generator)]


def plain_attention(unet, device: torch.device) -> None:
    """On a processor, train with attention written out: the fused kernel's backward pass takes 1.3 times the step."""
    if device.type == "cpu":
        unet.set_attn_processor(AttnProcessor())


def v_prediction(clean: torch.Tensor, eps: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy latents at times t (0 to 999), and what the network shall predict."""
    return SCHEDULE.add_noise(clean, eps, t), SCHEDULE.get_velocity(clean, eps, t)


def flow(clean: torch.Tensor, eps: torch.Tensor, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rectified flow: latents at noise level sigma (0 to 1), and the velocity to predict."""
    level = sigma.view(-1, *[1] * (clean.ndim - 1))
    return (1 - level) * clean + level * eps, eps - clean
