"""Are FLIP and LPIPS what others compute? ``python -m mic2e_bench.workshop.proof.seeing``

FLIP by the few lines below, which were written from the paper (Andersson et al., "FLIP: A Difference Evaluator for
Alternating Images", HPG 2020) in double precision and without separating its filters; LPIPS by the ``lpips`` package's
own class, on the same weights. On the bundled photographs, each beside five kinds of distortion. Exits with 1 where a
mean or a pixel of the map differs by more than 1e-4.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.ndimage import convolve

from mic2e_bench.catalog.metrics import flip, perceptual
from mic2e_bench.workshop import proof

LIMIT = 1e-4
PIXELS_PER_DEGREE = 0.7 * 3840 / 0.7 * np.pi / 180
RGB_TO_XYZ = np.array([
    [10135552 / 24577794, 8788810 / 24577794, 4435075 / 24577794],
    [2613072 / 12288897, 8788810 / 12288897, 887015 / 12288897],
    [1425312 / 73733382, 8788810 / 73733382, 70074185 / 73733382],
])  # fmt: skip
WHITE = RGB_TO_XYZ.sum(axis=1)
# the contrast sensitivity of each opponent channel as sums of Gaussians: (a1, b1, a2, b2), the table of the paper
SENSITIVITY = ((1, 0.0047, 0, 1e-5), (1, 0.0053, 0, 1e-5), (34.1, 0.04, 13.5, 0.025))


def main() -> int:
    """Print the largest differences."""
    far, apart = [], []
    for one, other in pictures():
        mine, theirs = flip.error_map(one, other), by_the_paper(one, other)
        far.append(abs(mine.mean() - theirs.mean()))
        apart.append(np.abs(mine - theirs).max())
    lpips = list(lpips_apart())
    rows = [
        ("FLIP, mean over a picture", len(far), f"{max(far):.1e}", f"{LIMIT:.0e}"),
        ("FLIP, a pixel of the map", len(apart), f"{max(apart):.1e}", f"{LIMIT:.0e}"),
        ("LPIPS, AlexNet's and SqueezeNet's architecture", len(lpips), f"{max(lpips):.1e}", f"{LIMIT:.0e}"),
    ]
    about = (
        "Against our own lines from FLIP's paper in double precision, and against the class of the lpips package with "
        "the same weights (here random ones: the arithmetic is the same). Photographs beside five kinds of distortion."
    )
    print(proof.section("FLIP and LPIPS", about, ("what", "pictures", "largest difference", "limit"), rows))
    return int(max(*far, *apart, *lpips) > LIMIT)


def pictures() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Distorted photographs and what they were, (128, 160, 3) in [0, 1]."""
    from mic2e_bench.workshop.perceptual import distort, rank

    for image in list(rank.photographs().values())[:3]:
        part = image[64:192, 48:208]
        for kind in distort.KINDS:
            yield distort.distort(kind, part, 4, 0), part


def by_the_paper(test: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """LDR-FLIP of two sRGB images (height, width, 3): the error of each pixel."""
    one, other = (_opponent(image) for image in (reference, test))
    colour = _colour_error(_filtered(one), _filtered(other))
    feature = _feature_error((one[..., 0] + 16) / 116, (other[..., 0] + 16) / 116)
    return colour ** (1 - feature)


def _opponent(image: np.ndarray) -> np.ndarray:
    """sRGB to the linearised opponent space YCxCz."""
    image = image.astype(np.float64)
    linear = np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)
    x, y, z = np.moveaxis(linear @ RGB_TO_XYZ.T / WHITE, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _linear(opponent: np.ndarray) -> np.ndarray:
    y = (opponent[..., 0] + 16) / 116
    xyz = np.stack([y + opponent[..., 1] / 500, y, y - opponent[..., 2] / 200], axis=-1) * WHITE
    return xyz @ np.linalg.inv(RGB_TO_XYZ).T


def _filtered(opponent: np.ndarray) -> np.ndarray:
    """As far as the eye resolves each channel, back in linear RGB from 0 to 1."""
    radius = int(np.ceil(3 * np.sqrt(0.04 / (2 * np.pi**2)) * PIXELS_PER_DEGREE))
    x, y = np.meshgrid(*[np.arange(-radius, radius + 1) / PIXELS_PER_DEGREE] * 2)
    seen = []
    for channel, (a1, b1, a2, b2) in enumerate(SENSITIVITY):
        kernel = sum(a * np.sqrt(np.pi / b) * np.exp(-(np.pi**2) * (x**2 + y**2) / b) for a, b in ((a1, b1), (a2, b2)))
        seen.append(convolve(opponent[..., channel], kernel / kernel.sum(), mode="nearest"))
    return np.clip(_linear(np.stack(seen, axis=-1)), 0, 1)


def _lab(linear: np.ndarray) -> np.ndarray:
    """CIELAB with Hunt's adjustment: less colour where it is dark."""
    xyz = linear @ RGB_TO_XYZ.T / WHITE
    delta = 6 / 29
    x, y, z = np.moveaxis(np.where(xyz > delta**3, np.cbrt(xyz), xyz / (3 * delta**2) + 4 / 29), -1, 0)
    light = 116 * y - 16
    return np.stack([light, 0.01 * light * 500 * (x - y), 0.01 * light * 200 * (y - z)], axis=-1)


def _colour_error(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The HyAB distance to the power of 0.7, its range mapped to 0 to 1 around 0.95 at two fifths of the largest."""

    def hyab(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.abs(a[..., 0] - b[..., 0]) + np.hypot(a[..., 1] - b[..., 1], a[..., 2] - b[..., 2])

    power, middle, at = 0.7, 0.4, 0.95
    most = hyab(*(_lab(np.array(colour, dtype=np.float64)) for colour in ((0, 1, 0), (0, 0, 1)))) ** power
    error, knee = hyab(_lab(one), _lab(other)) ** power, middle * most
    return np.where(error < knee, at / knee * error, at + (error - knee) / (most - knee) * (1 - at))


def _feature_error(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How much edges and points differ, to the power of one half."""
    deviation = 0.5 * 0.082 * PIXELS_PER_DEGREE
    radius = int(np.ceil(3 * deviation))
    x, y = np.meshgrid(*[np.arange(-radius, radius + 1)] * 2)
    bell = np.exp(-(x**2 + y**2) / (2 * deviation**2))
    edge, point = -x * bell, (x**2 / deviation**2 - 1) * bell
    found = []
    for kernel in (edge, point):
        kernel = np.where(kernel > 0, kernel / kernel[kernel > 0].sum(), -kernel / kernel[kernel < 0].sum())
        sizes = [np.hypot(*(convolve(y, each, mode="nearest") for each in (kernel, kernel.T))) for y in (one, other)]
        found.append(np.abs(sizes[0] - sizes[1]))
    return np.clip((np.maximum(*found) / np.sqrt(2)) ** 0.5, 0, 1)


def lpips_apart() -> Iterator[float]:
    """By how much our LPIPS differs from the package's own class with the weights of one file, picture by picture."""
    import torch
    import torchvision
    from lpips import LPIPS

    from mic2e_bench.catalog.metrics.backbones.lpips import tensors

    models = {"alex": torchvision.models.alexnet, "squeeze": torchvision.models.squeezenet1_1}
    for kind, name in (("alex", "alexnet-owt-7be5be79.pth"), ("squeeze", "squeezenet1_1-b8a52dc0.pth")):
        with warnings.catch_warnings(action="ignore"), torch.random.fork_rng(), tempfile.TemporaryDirectory() as folder:
            torch.manual_seed(0)
            weights = models[kind](weights=None).state_dict()
            torch.save(weights, Path(folder, name))
            perceptual.choose(Path(folder, name))
            package = LPIPS(net=kind, pnet_rand=True, verbose=False).eval()
            features = [weight for key, weight in weights.items() if key.startswith("features.")]
            with torch.inference_mode():
                for parameter, weight in zip(package.net.parameters(), features, strict=True):
                    parameter.copy_(weight)
                for one, other in pictures():
                    theirs = float(package(*tensors(one, other), normalize=True))
                    yield abs(perceptual.lpips(one, other) - theirs)
    perceptual.choose(None)


if __name__ == "__main__":
    proof.start(main, __doc__)
