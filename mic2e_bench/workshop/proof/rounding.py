"""What does rounding alone do to a picture? ``python -m mic2e_bench.workshop.proof.rounding [STEPS]``

Every bundled pipeline in float32 and bfloat16: the same call with one unit in the last place of the denoiser's first
input changed, with another exact attention kernel, and in the second place of a batch of two, as a study's baseline has
them for its floor. It finds what there is, and misses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mic2e_bench.catalog import registry, rounding
from mic2e_bench.workshop import proof

STEPS = 8
PRECISIONS = ("fp32", "bf16")
METRICS = ("flip", "lpips", "psnr", "iou")


def main(steps: int = STEPS) -> int:
    """Print a row for each pipeline, precision and kind of rounding."""
    known = registry.metrics()
    rows = [row for name in registry.pipelines() for precision in PRECISIONS for row in _rows(name, precision, steps)]
    backbone = known["lpips"].backbone()
    about = (
        f"Bundled models, {steps} steps, the pipeline's own guidance, 256 px, one input: how far the picture moves "
        f"where nothing but rounding differs. LPIPS by {backbone}; "
        f"{known['flip'].backbone()}. Equal: not one pixel moved."
    )
    header = ("pipeline", "precision", "what differs", "FLIP", "LPIPS", "PSNR (dB)", "IoU")
    print(proof.section("The floor of rounding", about, header, rows))
    return 0


def _rows(name: str, precision: str, steps: int) -> Iterator[tuple[str, ...]]:
    """The distances of one pipeline's picture to itself."""
    pipeline = registry.pipeline(name)
    size = {} if pipeline.size == "fixed" else {"steps": steps, "resolution": 256}
    build, item = proof.live({"pipeline": name, "model": "bundled", "baseline": {**size, "precision": precision}})
    with build.around():
        plain = np.asarray(build.pipeline.call(build, item, 42)[0])
        for kind, call in rounding.calls(build, item, 42).items():
            yield name, precision, rounding.KINDS[kind], *_distances(np.asarray(call()), plain)


def _distances(picture: np.ndarray, plain: np.ndarray) -> list[str]:
    if np.array_equal(picture, plain):
        return ["equal"] * len(METRICS)
    is_mask, known = plain.ndim == 2, registry.metrics()
    scaled = [each >= 128 if is_mask else each.astype(np.float32) / 255 for each in (picture, plain)]
    fitting = {name: known[name] for name in METRICS if (known[name].of == "masks") is is_mask}
    return [f"{fitting[name].compute(*scaled):.4g}" if name in fitting else "" for name in METRICS]


if __name__ == "__main__":
    proof.start(main, __doc__, steps=STEPS)
