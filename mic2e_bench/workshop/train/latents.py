"""Encoded training samples, made once and kept on disk.

Sample i depends only on i and the autoencoder, so a pool may grow while a training runs: a resumed training finds the
same samples, and two processes that fill one pool write the same files.
"""

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch.nn import functional as F

from mic2e_bench import files

SHARD = 128  # samples a file


def digest(module: torch.nn.Module) -> str:
    """Eight characters that change with any weight."""
    sha = hashlib.sha256()
    for value in module.state_dict().values():
        sha.update(value.float().cpu().numpy().tobytes())
    return sha.hexdigest()[:8]


class LatentPool:
    """Samples 0 .. n-1 of a kind; `make(i)` gives one as a dict of tensors."""

    def __init__(self, folder: Path, make: Callable[[int], dict[str, torch.Tensor]]):
        self.folder, self.make = folder, make
        self.samples: list[dict[str, torch.Tensor]] = []

    def path(self, shard: int) -> Path:
        return self.folder / f"{shard:05d}.safetensors"

    def fill(self, shard: int) -> list[dict[str, torch.Tensor]]:
        """The samples of one shard, read where they are stored and sound, else made and stored."""
        try:
            stacked = load_file(self.path(shard))
        except (FileNotFoundError, SafetensorError):
            samples = [self.make(i) for i in range(shard * SHARD, (shard + 1) * SHARD)]
            stacked = {k: torch.stack([s[k] for s in samples]).contiguous() for k in samples[0]}
            files.write_whole(self.path(shard), save(stacked))
        return [{k: v[i] for k, v in stacked.items()} for i in range(SHARD)]

    @torch.autocast("cpu", enabled=False)  # autocast refuses to stack half-precision tensors
    def grow(self, count: int, say=None) -> None:
        """Have at least `count` samples in memory."""
        while len(self.samples) < count:
            shard = len(self.samples) // SHARD
            if say and not self.path(shard).exists():
                say(f"encoding samples {len(self.samples)} to {len(self.samples) + SHARD} of {count}")
            self.samples += self.fill(shard)

    @torch.autocast("cpu", enabled=False)
    def take(self, indices) -> dict[str, torch.Tensor]:
        """The samples of these numbers, stacked, in float32."""
        return together([self.samples[int(i)] for i in indices])


def together(samples: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Samples stacked, in float32."""
    return {k: torch.stack([s[k] for s in samples]).float() for k in samples[0]}


def growing(start: int, most: int, step: int, every: float) -> int:
    """How many samples a pool holds at a step: `start`, and one more each `every` steps, whole shards, up to `most`."""
    return min(most, math.ceil((start + step / every) / SHARD) * SHARD)


def to_tensor(images: list[np.ndarray]) -> torch.Tensor:
    """(height, width, 3) pictures in [0, 1] to (n, 3, height, width) in [-1, 1]."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() * 2 - 1


def squeeze(array: np.ndarray, side: int) -> torch.Tensor:
    """(height, width, channels) to (channels, side, side), bilinear with antialiasing."""
    tensor = torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1)[None]
    return F.interpolate(tensor, (side, side), mode="bilinear", antialias=True)[0]


@torch.no_grad()
def encode(vae, images: list[np.ndarray]) -> torch.Tensor:
    """Pictures (height, width, 3) in [0, 1] to scaled latents (n, 4, height/8, width/8), half precision on the CPU."""
    x = to_tensor(images)
    device = next(vae.parameters()).device
    with torch.autocast(device.type, torch.bfloat16):
        z = vae.encode(x.to(device)).latent_dist.mode()
    shift = vae.config.shift_factor or 0.0
    return ((z.float() - shift) * vae.config.scaling_factor).half().cpu()
