"""How well the stand-in agrees with measures that need no weights, over the pictures that studies stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.metrics import flip, similarity
from mic2e_bench.catalog.metrics.backbones import lpips
from mic2e_bench.catalog.regions import Picture
from mic2e_bench.records import comparable, record
from mic2e_bench.report import frame
from mic2e_bench.run.scoring import pairs
from mic2e_bench.workshop.perceptual.candidates import of

OTHERS = {
    "FLIP": flip.flip,
    "SSIM": lambda one, other: 1 - similarity.ssim(one, other),
    "PSNR": lambda one, other: -similarity.psnr(one, other),
}


def stored(results: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """The pipeline's name, and each picture under ``results`` beside its baseline's, where the two differ."""
    for folder in frame.folders(results):
        found = [one for one in map(record.read, record.paths(folder)) if comparable.is_measured(one)]
        baseline = next(filter(comparable.is_baseline, found), None)
        if not baseline or registry.pipeline(baseline.pipeline).task == "segmentation":
            continue
        study = pairs.StoredStudy(baseline, "generation", folder, {})
        there = study.pictures(baseline)
        for place, picture in ((place, other) for one in found for place, other in study.pictures(one).items()):
            if place in there and there[place] != picture:
                yield baseline.pipeline, *_both(picture, there[place])


def _both(picture: Picture, reference: Picture) -> tuple[np.ndarray, np.ndarray]:
    other = reference.read()
    one = picture.read((other.shape[1], other.shape[0]))
    return one.astype(np.float32) / 255, other.astype(np.float32) / 255


def table(results: Path) -> tuple[dict[str, float], dict[str, int]]:
    """Spearman's correlation of the stand-in with each of ``OTHERS``, and how many pictures of which pipeline."""
    from scipy.stats import spearmanr

    distance = of(*lpips.stand_in())
    counts: dict[str, int] = {}
    rows = []
    for pipeline, one, other in stored(results):
        counts[pipeline] = counts.get(pipeline, 0) + 1
        rows.append([distance(one, other), *(measure(one, other) for measure in OTHERS.values())])
    mine, *others = np.array(rows).T
    return {name: float(spearmanr(mine, each).statistic) for name, each in zip(OTHERS, others, strict=True)}, counts
