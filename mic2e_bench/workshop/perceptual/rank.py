"""How well a distance ranks graded distortions of real photographs, by Spearman's correlation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mic2e_bench.workshop.perceptual.distort import KINDS, LEVELS, distort
from mic2e_bench.workshop.scenes.photos import shipped

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "camera", "coins", "motorcycle_left", "grass")
SIDE = 256
Distance = Callable[[np.ndarray, np.ndarray], float]


def photographs() -> dict[str, np.ndarray]:
    """The middle square of each photograph of scikit-image, 256 pixels a side, grey ones as RGB."""
    from PIL import Image, ImageOps

    found = {}
    for name in PHOTOGRAPHS:
        image = ImageOps.fit(shipped(f"{name}.*"), (SIDE, SIDE), Image.Resampling.BICUBIC)
        found[name] = np.asarray(image, dtype=np.float32) / 255
    return found


def table(distance: Distance) -> dict[str, np.ndarray]:
    """The distance of every distorted photograph from its original: kind to (photographs, levels)."""
    rows = {kind: [] for kind in KINDS}
    for number, image in enumerate(photographs().values()):
        for kind in KINDS:
            distorted = [distort(kind, image, level, 1000 * number + level) for level in LEVELS]
            rows[kind].append([distance(one, image) for one in distorted])
    return {kind: np.array(found) for kind, found in rows.items()}


def spearman(distances: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Two figures for each kind and their means (``all``).

    ``within``: levels against distances of one photograph, mean over photographs. ``across``: of all photographs
    together, which asks that a level means the same distance whatever the picture shows.
    """
    from scipy.stats import spearmanr

    figures: dict[str, dict[str, float]] = {"within": {}, "across": {}}
    levels = np.array(LEVELS)
    for kind, found in distances.items():
        figures["within"][kind] = float(np.mean([spearmanr(levels, row).statistic for row in found]))
        figures["across"][kind] = float(spearmanr(np.tile(levels, len(found)), found.ravel()).statistic)
    for figure in figures.values():
        figure["all"] = float(np.mean(list(figure.values())))
    return figures


def header() -> str:
    """The head of the printed table."""
    kinds = "".join(f"{kind:>8}" for kind in (*KINDS, "all"))
    return f"{'':28}{'within a photograph':^48}{'across photographs':^48}\n{'':28}{kinds}{kinds}"


def line(name: str, figures: dict[str, dict[str, float]]) -> str:
    """One row of the printed table."""
    return f"{name:28}" + "".join(f"{value:8.3f}" for figure in figures.values() for value in figure.values())


def report(figures: dict[str, dict[str, dict[str, float]]]) -> dict[str, object]:
    """All figures with what they are, best first, for the file beside the weights."""
    best = sorted(figures, key=lambda name: -figures[name]["across"]["all"])
    return {
        "what": "Spearman correlation of level and distance; 'across' pools all photographs and decides",
        "photographs": PHOTOGRAPHS,
        "side": SIDE,
        "levels": len(LEVELS),
        "ranking": {name: figures[name] for name in best},
    }
