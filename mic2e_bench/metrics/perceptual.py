"""LPIPS: distance of two images in the features of a network (Zhang et al. 2018), by the ``lpips`` package.

The network's ImageNet weights are looked for in torch's hub cache (``torch.hub.get_dir()/checkpoints``), AlexNet's
first, then SqueezeNet's, or at a path given to ``choose``. Nothing is downloaded. Without them a stand-in is used
whose name says what it is.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mic2e_bench.errors import BadInput
from mic2e_bench.metric import Metric

PRETRAINED = {"alex": "alexnet-owt-*.pth", "squeeze": "squeezenet1_1-*.pth", "vgg": "vgg16-*.pth"}
SEED = 0
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
    return Path(home).expanduser() / "hub" / "checkpoints"


def backbone() -> str:
    """What the distance is measured with; a stand-in says that it is one."""
    found = find()
    return f"{found[0]}, ImageNet" if found else f"alex, untrained (seed {SEED}) stand-in"


def lpips(candidate: np.ndarray, reference: np.ndarray) -> float:
    """The distance, 0 for equal images."""
    return float(_measure(candidate, reference, spatial=False))


def lpips_within(candidate: np.ndarray, reference: np.ndarray, regions: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The mean of the distance map over each region; a pixel's distance also sees its neighbourhood."""
    distance = _measure(candidate, reference, spatial=True)[0, 0].numpy()
    return {name: float(distance[region].mean()) for name, region in regions.items()}


def _measure(candidate: np.ndarray, reference: np.ndarray, spatial: bool) -> Any:
    import torch

    network = _network(find())
    network.spatial = spatial
    with torch.inference_mode():
        return network(*tensors(candidate, reference), normalize=True)


def tensors(*images: np.ndarray) -> list[Any]:
    """Arrays (height, width, 3) to tensors (1, 3, height, width), float32."""
    import torch

    return [torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32, order="C")) for image in images]


@functools.cache
def _network(found: tuple[str, Path] | None) -> Any:
    """LPIPS with ImageNet weights from a file, or untrained from a seed."""
    import torch
    from lpips import LPIPS

    kind, path = found or ("alex", None)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")  # lpips' old argument names
        torch.manual_seed(SEED)
        # built without weights, so that it never reaches for the network
        network = LPIPS(net=kind, pnet_rand=True, lpips=path is not None, verbose=False)
    if path:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        for name, module in network.net.named_modules():
            index = name.partition(".")[2]  # slice2.3 is torchvision's features.3
            own = {key.removeprefix(f"features.{index}."): value for key, value in weights.items()
                   if index and key.startswith(f"features.{index}.")}  # fmt: skip
            if own:
                module.load_state_dict(own)
    return network.requires_grad_(False)


LPIPS_DISTANCE = Metric(
    "lpips", "images", "1", "lower", "perceptual distance (0: equal images)", lpips, backbone, lpips_within
)
