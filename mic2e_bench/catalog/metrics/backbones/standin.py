"""The stand-in network: from an image to layers, and how much each channel of each layer counts."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from mic2e_bench import paths

FOLDER = paths.BUNDLED / "perceptual"
WIDTHS = (24, 48, 96, 128)  # channels of the four stages; each halves the image
POOLED = 4  # pixels over which colour is averaged
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Network(nn.Module):
    """Four stages of two convolutions. Layer 0 of the features is the image's own colours, a little blurred."""

    def __init__(self) -> None:
        super().__init__()
        sides = zip((3, *WIDTHS[:-1]), WIDTHS, strict=True)
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(given, made, 5 if given == 3 else 3, 2, 2 if given == 3 else 1),
                nn.ReLU(),
                nn.Conv2d(made, made, 3, 1, 1),
                nn.ReLU(),
            )
            for given, made in sides
        )
        self.importance = nn.ParameterList(nn.Parameter(torch.full((width,), -1.0)) for width in (3, *WIDTHS))
        self.register_buffer("scale", torch.ones(()))  # makes the mean distance of two unrelated scenes 1

    def features(self, images: Tensor) -> list[Tensor]:
        """Layers (n, channels, height, width) of images (n, 3, height, width) in [0, 1]; of unit length but layer 0."""
        layers = [functional.avg_pool2d(images, POOLED, ceil_mode=True)]
        flow = as_seen(images) * 4 - 2
        for stage in self.stages:
            flow = stage(flow)
            layers.append(flow / (flow.square().sum(1, keepdim=True) + 1e-8).sqrt())
        return layers

    def weigh(self, layer: int, squared: Tensor) -> Tensor:
        """A map (n, 1, height, width) of distance from the squared differences of one layer."""
        weights = functional.softplus(self.importance[layer]) * self.scale
        return (squared * weights[:, None, None]).sum(1, keepdim=True)

    def distance(self, one: list[Tensor], other: list[Tensor]) -> Tensor:
        """The distance of images by their features: (n,)."""
        pairs = enumerate(zip(one, other, strict=True))
        return sum(self.weigh(i, (a - b).square()).mean((1, 2, 3)) for i, (a, b) in pairs)


def as_seen(images: Tensor) -> Tensor:
    """Images (n, 3, height, width) whose brightness is kept and whose colour is blurred, as the eye resolves them."""
    brightness = (images * images.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
    colour = functional.avg_pool2d(images - brightness, POOLED, ceil_mode=True)
    return brightness + functional.interpolate(colour, size=images.shape[-2:], mode="bilinear", align_corners=False)


def save(network: Network, folder: Path = FOLDER) -> None:
    """Store the weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.safetensors"
    save_file({name: value.half() for name, value in network.state_dict().items()}, path)
    path.chmod(0o644)


def load(folder: Path = FOLDER) -> Network:
    """The trained network, in float32. Raises what safetensors raises for a missing or damaged file."""
    network = Network()
    network.load_state_dict({name: value.float() for name, value in load_file(folder / "model.safetensors").items()})
    return network.eval().requires_grad_(False)
