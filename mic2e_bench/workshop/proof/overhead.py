"""What measuring costs: a sweep's wall time against its pipeline calls' own time and one import of the libraries; and
how long a further trial waits for a process of its own.

``python -m mic2e_bench.workshop.proof.overhead`` prints Markdown for BENCHMARKS.md, and exits with 1 where either is
above its limit.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from typing import Any

import psutil

from mic2e_bench import api
from mic2e_bench.run import forkserver
from mic2e_bench.run.runner import Summary
from mic2e_bench.workshop import proof

LIMIT, START_LIMIT_S, STARTS = 1.5, 0.3, 10
STUDY: dict[str, Any] = {
    "study": "overhead",
    "pipeline": "objectclear",
    "model": "bundled",
    "inputs": proof.ONE_INPUT,
    "baseline": {"resolution": 384, "guidance": 2.5, "steps": 20},
    "vary": {"steps": [4, 8, 12, 20]},
    "protocol": {"warmup": 1, "repeats": 5, "seeds": [42]},
    "metrics": ["lpips", "ssim", "psnr"],
}


def main() -> int:
    """Run the sweep in a fresh folder; print what it took from this process's start to the last score."""
    with tempfile.TemporaryDirectory() as folder:
        summary = api.run(STUDY, results=folder)
    if summary.failed:
        print("\n".join(f"{one.label}: {one.status}: {one.reason}" for one in summary.failed.values()))
        return 1
    wall = time.time() - psutil.Process().create_time()
    start = statistics.median(forkserver.start() for _ in range(STARTS))
    one = next(iter(summary.records.values()))
    rows = [
        ("pipeline calls", f"{summary.calls_s:.1f} s"),
        ("one import of the libraries", f"{summary.import_s:.1f} s"),
        ("wall time of measuring", f"{summary.wall_s:.1f} s, {ratio(summary, summary.wall_s):.2f} times"),
        ("wall time with scoring and Python's start", f"{wall:.1f} s, {ratio(summary, wall):.2f} times"),
        ("limit", f"{LIMIT} times (calls + import)"),
        (f"a further process, from the request to its end, median of {STARTS}", f"{1000 * start:.0f} ms"),
        ("limit", f"{1000 * START_LIMIT_S:.0f} ms"),
    ]
    about = (
        f"Steps {', '.join(map(str, STUDY['vary']['steps']))} of the bundled {one.pipeline} model at "
        f"{one.settings['resolution']} px, {one.protocol['repeats']} repeats; {proof.place()}."
    )
    print(proof.section("Overhead of a sweep", about, ("part", "time"), rows))
    return int(ratio(summary, summary.wall_s) > LIMIT or start > START_LIMIT_S)


def ratio(summary: Summary, wall_s: float) -> float:
    """Wall time over what could not be saved: the calls themselves and one import of the libraries."""
    return wall_s / (summary.calls_s + summary.import_s)


if __name__ == "__main__":
    proof.start(main, __doc__)
