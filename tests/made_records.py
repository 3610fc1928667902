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
