"""How long it takes to read many records into a frame, and to verify them.

``python -m mic2e_bench.workshop.proof.reading [RECORDS]`` writes records as a real trial leaves them (10,000 by
default, on the disk of the temporary folder), reads them, prints Markdown for BENCHMARKS.md, and exits with 1 where
reading takes longer than the limit.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mic2e_bench import files, seal
from mic2e_bench.catalog.metrics.similarity import PSNR
from mic2e_bench.machine import environment
from mic2e_bench.plan import params
from mic2e_bench.plan.trial import Trial
from mic2e_bench.records import frame, record
from mic2e_bench.tools import verify
from mic2e_bench.workshop import proof

RECORDS, LIMIT_S, REPEATS = 10_000, 2.0, 5
STUDY = {
    "study": "store",
    "pipeline": "objectclear",
    "inputs": {"source": "bundled", "limit": 4},
    "baseline": {"steps": 20, "resolution": 512},
}
ENTRY = {
    "unit": PSNR.unit, "better": PSNR.better, "against": "0" * 16, "backbone": None, "value": 25.25, "n": 4,
    "ci95": [24.125, 26.375], "floor": 48.5, "floor_of": "a repeat", "visible": True, "stamp": "0" * 16,
}  # fmt: skip


def main(records: int = RECORDS) -> int:
    """Write, read and verify so many records; print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        size = write(results, records)
        start = time.process_time()
        load_s = [_seconds(lambda: frame.load(results)) for _ in range(REPEATS)]
        processor_s = (time.process_time() - start) / REPEATS
        verify_s = _seconds(lambda: verify.studies(results))
        assert len(frame.load(results)[0]) == records
    rows = [
        (f"records, {size / records / 1000:.1f} kB each", f"{records:,}"),
        ("into a frame, median", f"{statistics.median(load_s):.2f} s"),
        ("into a frame, slowest", f"{max(load_s):.2f} s"),
        ("into a frame, processor time, mean", f"{processor_s:.2f} s"),
        ("limit of the median", f"{LIMIT_S} s"),
        ("`verify` without images", f"{verify_s:.1f} s"),
    ]
    about = f"{len(load_s)} readings, files in the page cache; {proof.place()}."
    print(proof.section("Reading the store", about, ("part", ""), rows))
    return int(statistics.median(load_s) > LIMIT_S)


def trials(count: int) -> Iterator[Trial]:
    """Distinct trials: they differ in their seed."""
    base = params.resolve_study(STUDY).baseline
    for seed in range(count):
        yield dataclasses.replace(base, label=f"seed {seed}", protocol={**base.protocol, "seeds": [seed]})


def write(results: Path, count: int) -> int:
    """Write ``count`` records of a size as they have in real studies; returns their bytes."""
    here, written = dict(environment.here("cpu")), 0
    folder = results / str(STUDY["study"])
    folder.mkdir(parents=True)
    for trial in trials(count):
        content = files.as_json(seal.sealed(_record(trial, here).raw))
        written += (folder / f"{trial.id}.json").write_bytes(content)  # no fsync: writing is not what is timed
    return written


def _record(trial: Trial, here: dict[str, Any]) -> record.Record:
    how = "AttnProcessor2_0 x14; VAE: AttnProcessor2_0 x2; read from the live object"
    images = [{"input": name, "seed": trial.protocol["seeds"][0], "file": f"images/{name}.png", "sha256": "0" * 64}
              for name in trial.inputs["items"]]  # fmt: skip
    keys = ("psnr", "ssim", "lpips", "quality", "psnr.truth", "psnr.truth.inside", "ssim.truth", "lpips.truth")
    return record.make(
        trial, "ok",
        quality=dict.fromkeys(keys, ENTRY),
        receipts={name: {"asked": value, "seen": value, "applied": True, "how": how}
                  for name, value in trial.settings.items()},
        timing={"load_s": 1.25, "first_call_s": 2.5, "calls_s": 20.5, "warmup_s": [2.5],
                "latency_s": [1.0123456789, 1.1123456789, 1.0223456789, 1.0323456789, 1.0423456789],
                "step_s": [0.0123456789] * 19, "component_s": {part: [0.123456789] for part in ("unet", "vae")}},
        memory={"weights_bytes": 24_000_000, "load_peak_rss_bytes": 1_000_000_000, "peak_rss_bytes": 1_100_000_000},
        images=images,
        environment=here,
    )  # fmt: skip


def _seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


if __name__ == "__main__":
    proof.start(main, __doc__, records=RECORDS)
