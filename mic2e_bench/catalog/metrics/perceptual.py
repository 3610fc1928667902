"""LPIPS: distance of two images in the features of a network (Zhang et al. 2018), with those of the ``lpips`` package.

The network's ImageNet weights are looked for in torch's hub cache (``torch.hub.get_dir()/checkpoints``), AlexNet's
first, then SqueezeNet's, or at a path given to ``choose``. Nothing is downloaded. Without them a stand-in is used
whose name says what it is.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mic2e_bench.catalog.metric import Metric
from mic2e_bench.errors import BadInput

PRETRAINED = {"alex": "alexnet-owt-*.pth", "squeeze": "squeezenet1_1-*.pth", "vgg": "vgg16-*.pth"}
STAND_IN = "trained on drawn scenes, stand-in"
KEPT_BYTES = 256 << 20  # features of the last images, because one reference meets many candidates
_chosen: list[Path] = []


def choose(weights: str | Path | None) -> None:
    """Use the weights in this file from now on, in this process; ``None`` goes back to the hub cache.

    Raises ``BadInput`` for a file that does not exist or whose name is not that of one of torchvision's.
    """
    path = Path(weights) if weights else None
    if path and not (path.is_file() and any(path.match(pattern) for pattern in PRETRAINED.values())):
        raise BadInput(f"LPIPS weights: {path} is no file of torchvision's, named {', '.join(PRETRAINED.values())}.")
    _chosen[:] = [path] if path else []


def find() -> tuple[str, Path] | None:
    """The kind of network and the file of its ImageNet weights; ``None`` where there is none. Imports no torch."""
    for kind, pattern in PRETRAINED.items():
        for path in _chosen or sorted(cache().glob(pattern)):
            if path.match(pattern):
                return kind, path
    return None


def cache() -> Path:
    """Where torch's hub keeps weights, as ``torch.hub.get_dir()`` finds it."""
    home = os.environ.get("TORCH_HOME", os.environ.get("XDG_CACHE_HOME", "~/.cache") + "/torch")
    return Path(os.path.expanduser(home)) / "hub" / "checkpoints"  # without a home folder a name that nothing has


def backbone() -> str:
    """What the distance is measured with; a stand-in says that it is one."""
    found = find()
    return f"{found[0]}, ImageNet" if found else STAND_IN


def lpips(candidate: np.ndarray, reference: np.ndarray) -> float:
    """The distance, 0 for equal images."""
    return lpips_within(candidate, reference, {})[""]


def lpips_within(candidate: np.ndarray, reference: np.ndarray, regions: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The distance (``""``) and the mean of its map over each region; a pixel's also sees its neighbourhood."""
    import torch
    from torch.nn.functional import interpolate

    found = dict.fromkeys(["", *regions], 0.0)
    with torch.inference_mode():
        for one, other, weigh in zip(_features(candidate), _features(reference), _network(find())[1], strict=True):
            layer = weigh((one - other) ** 2)
            found[""] += float(layer.mean())
            if regions:
                size = reference.shape[:2]
                layer = interpolate(layer, size, mode="bilinear", align_corners=False)[0, 0].numpy()
                for name, region in regions.items():
                    found[name] += float(layer[region].mean())
    return found


_kept: dict[tuple[Any, bytes], list[Any]] = {}


def _features(image: np.ndarray) -> list[Any]:
    """The network's layers for an image: (1, channels, height, width) each."""
    found = find()
    key = (found, hashlib.blake2b(image.tobytes() + str(image.shape).encode()).digest())
    if key not in _kept:
        layers = _network(found)[0](image)
        size = sum(layer.nbytes for layer in layers)
        while _kept and (len(_kept) + 1) * size > KEPT_BYTES:
            del _kept[next(iter(_kept))]
        _kept[key] = layers
    return _kept[key]


@functools.cache
def _network(found: tuple[str, Path] | None) -> tuple[Any, Any]:
    """From an image to layers of features, and from a layer's squared differences to a map of distance."""
    from mic2e_bench.catalog.metrics.backbones import lpips as networks

    return networks.pretrained(*found) if found else networks.stand_in()


LPIPS_DISTANCE = Metric(
    "lpips", "images", "1", "lower", "perceptual distance (0: equal images)", lpips, backbone, lpips_within
)
