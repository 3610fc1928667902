"""The distances that the stand-in is compared with."""

from __future__ import annotations

from collections.abc import Iterator

from mic2e_bench.catalog.metrics import perceptual, similarity
from mic2e_bench.catalog.metrics.backbones import lpips
from mic2e_bench.workshop.perceptual.rank import Distance

SEEDS = (0, 1, 2)


def distances() -> Iterator[tuple[str, Distance]]:
    """Named distances: the trained stand-in, untrained networks of several seeds, and pixel and structure measures."""
    yield "trained on scenes", of(*lpips.stand_in())
    for kind in ("alex", "squeeze", "vgg"):
        for seed in SEEDS if kind != "vgg" else SEEDS[:1]:  # VGG is ten times slower
            yield f"{kind}, untrained (seed {seed})", of(*lpips.untrained(kind, seed))
    found = perceptual.find()
    if found:
        yield f"{found[0]}, ImageNet", of(*lpips.pretrained(*found))
    yield "ssim", lambda one, other: 1 - similarity.ssim(one, other)
    yield "ms_ssim", lambda one, other: 1 - similarity.ms_ssim(one, other)
    yield "psnr", lambda one, other: -similarity.psnr(one, other)


def of(features: lpips.Features, weighing: lpips.Weighing) -> Distance:
    """The distance that a backbone gives."""

    def distance(one, other) -> float:
        layers = zip(features(one), features(other), weighing, strict=True)
        return float(sum(weigh((a - b) ** 2).mean() for a, b, weigh in layers))

    return distance
