"""Quality in percent: the best real distance that there is, as a share of none."""

from __future__ import annotations

from mic2e_bench.catalog.metric import Metric
from mic2e_bench.catalog.metrics import flip, perceptual


def source() -> str:
    """LPIPS where its ImageNet weights are there, else FLIP, which needs none; never a stand-in."""
    return "lpips" if perceptual.find() else "flip"


def backbone() -> str:
    """What the distance is, and what it was measured with."""
    return f"LPIPS, {perceptual.backbone()}" if source() == "lpips" else flip.backbone()


def quality(distance: float) -> float:
    """100 % for equal images; a distance of 1, the most that FLIP has, is 0 %. LPIPS may be above 1."""
    return 100 * (1 - distance)


QUALITY = Metric(
    "quality", "images", "%", "higher",
    "100 (1 - mean distance to the reference): by LPIPS with ImageNet weights, else by FLIP", quality, backbone,
    source=source,
)  # fmt: skip
