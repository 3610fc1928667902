"""The networks behind LPIPS: those of the ``lpips`` package, from a file or untrained, and the bundled stand-in.

Each is a function from an image (height, width, 3) in [0, 1] to layers (1, channels, height, width) that are to be
compared, and for each layer a function from squared differences to a map of distance (1, 1, height, width).
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

Features = Callable[[np.ndarray], list[Tensor]]
Weighing = list[Callable[[Tensor], Tensor]]


def tensors(*images: np.ndarray) -> list[Tensor]:
    """Arrays (height, width, 3) to tensors (1, 3, height, width), float32."""
    return [torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32, order="C")) for image in images]


def pretrained(kind: str, path: Path) -> tuple[Features, Weighing]:
    """LPIPS of a kind (alex, squeeze, vgg) with torchvision's weights in a file: layers, and how each is weighed."""
    network = _empty(kind, 0, lpips=True)
    weights = torch.load(path, map_location="cpu", weights_only=True)
    for name, module in network.net.named_modules():
        own = f"features.{name.partition('.')[2]}."  # slice2.3 here is features.3 there
        found = {key.removeprefix(own): value for key, value in weights.items() if key.startswith(own)}
        if found and "." in name:
            module.load_state_dict(found)
    return _layers(network), list(network.lins)


def untrained(kind: str, seed: int = 0) -> tuple[Features, Weighing]:
    """A network as it is before training, all channels weighed alike."""
    network = _empty(kind, seed, lpips=False)
    return _layers(network), [lambda squared: squared.sum(1, keepdim=True)] * network.L


def stand_in() -> tuple[Features, Weighing]:
    """The bundled network that was trained on drawn scenes (see ``standin``)."""
    from mic2e_bench.catalog.metrics.backbones import standin as network

    trained = network.load()

    def features(image: np.ndarray) -> list[Tensor]:
        with torch.inference_mode():
            return trained.features(tensors(image)[0])

    count = len(trained.importance)
    return features, [functools.partial(trained.weigh, layer) for layer in range(count)]


def _empty(kind: str, seed: int, lpips: bool) -> Any:
    """The package's network without ImageNet weights, so that it never reaches for the hub."""
    from lpips import LPIPS

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")  # lpips' old argument names
        torch.manual_seed(seed)
        return LPIPS(net=kind, pnet_rand=True, lpips=lpips, verbose=False).requires_grad_(False).eval()


def _layers(network: Any) -> Features:
    def features(image: np.ndarray) -> list[Tensor]:
        with torch.inference_mode():
            layers = network.net(network.scaling_layer(2 * tensors(image)[0] - 1))
            return [layer / (layer.square().sum(1, keepdim=True).sqrt() + 1e-10) for layer in layers]

    return features
