"""Studies and records made by hand: what tables and pages are tested with, without measuring."""

from pathlib import Path

import numpy as np
from PIL import Image

from mic2e_bench.machine import environment
from mic2e_bench.plan import params
from mic2e_bench.records import record

STAND_INS = ("published size, random weights", "LPIPS backbone: alex, untrained (seed 0) stand-in")
MIB = 2**20


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(path)


def inputs_folder(folder: Path) -> Path:
    picture(folder / "scene.png", 0)
    mask = Image.new("L", (64, 48))
    mask.paste(255, (10, 10, 30, 30))
    mask.save(folder / "scene.mask.png")
    return folder


def measured(study, results: Path, trial, number: int, status: str = "ok", reason: str = "") -> None:
    """A record with latencies of ``number`` seconds and an image; it is written where it belongs."""
    seen = 1 if trial is study.baseline else number
    picture(results / study.name / "images" / f"{seen}.png", seen)
    entry = {
        "unit": "1",
        "better": "lower",
        "against": study.baseline.id,
        "backbone": "alex, untrained (seed 0) stand-in",
    }
    value = number / 100
    quality = {
        "lpips": {**entry, "value": value, "ci95": [value / 2, value * 2], "n": 100},
        "psnr": {**entry, "value": 30.0 + number, "ci95": None, "unit": "dB", "better": "higher", "backbone": None},
        "psnr.truth.inside": {**entry, "value": 11.25, "ci95": None, "against": "truth", "backbone": None},
    }
    made = record.make(
        trial, status, reason, quality=quality,
        timing={"load_s": 1.5, "first_call_s": 9.0, "latency_s": [number * 0.9, number * 1.0, number * 1.1]},
        memory={"weights_bytes": 100 * MIB, "peak_rss_bytes": 900 * MIB, "load_peak_rss_bytes": 800 * MIB},
        images=[{"input": "scene", "seed": 42, "file": f"images/{seen}.png", "sha256": "0" * 64}],
        environment=dict(environment.here("cpu")),
    )  # fmt: skip
    record.write(results, made)


def failed(results: Path, trial, status: str, reason: str) -> None:
    record.write(results, record.make(trial, status, reason, environment=dict(environment.here("cpu"))))


def resolve(folder: Path, **given):
    shared = {"pipeline": "objectclear", "model": "random", "metrics": ["lpips", "psnr"]}
    return params.resolve_study({**shared, "inputs": str(inputs_folder(folder / "inputs")), **given})


def in_rounds(study, results: Path, trial, seconds: float, told: str = "rounding", value: float = 99.0, **parts):
    """A record of eight rounds over eight builds, taken in turns with its study's others; ``told`` of its pictures."""
    samples = [seconds * (1 + index / 1000) for index in range(8)]
    timing = {"latency_s": samples, "rounds": "r", "builds": list(range(8)), "placebo_s": samples}
    entry = {"unit": "%", "better": "higher", "against": study.baseline.id, "backbone": None, "ci95": None, "n": 8}
    made = record.make(
        trial, "ok", quality={"quality": {**entry, "value": value, "floor": 99.5, "told": told}},
        **{"timing": timing, "memory": {"peak_rss_bytes": 900 * MIB}, "environment": dict(environment.here("cpu")),
           **parts},
    )  # fmt: skip
    record.write(results, made)


def many(folder: Path, trials: int, most: int = 5000):
    """Studies of so many trials together, each measured, at most ``most`` in one; the studies and their results."""
    studies = []
    for start in range(0, trials, most):
        count = min(most, trials - start)
        points = [{"steps": 1 + index % 100, "guidance": 1 + index // 100 / 10} for index in range(1, count)]
        baseline = {"steps": 1, "guidance": 1.0}
        study = resolve(folder, study=f"many-{start}", baseline=baseline, trials=points, metrics=["lpips"])
        for index, trial in enumerate(study.trials):
            in_rounds(study, folder / "results", trial, 1 + index % 97 / 50, "visible", 90 + index % 10)
        studies.append(study)
    return studies, folder / "results"
