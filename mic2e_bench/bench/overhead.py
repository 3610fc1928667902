"""What measuring costs: a sweep's wall time against its pipeline calls' own time and one import of the libraries.

``python -m mic2e_bench.bench.overhead`` prints Markdown for BENCHMARKS.md, and exits with 1 where the ratio is above
the limit.
"""

from __future__ import annotations

import sys
import tempfile
import time
from typing import Any

import psutil

from mic2e_bench import api, environment
from mic2e_bench.runner import Summary

LIMIT = 1.5
STUDY: dict[str, Any] = {
    "study": "overhead",
    "pipeline": "objectclear",
    "model": "bundled",
    "inputs": {"source": "bundled", "limit": 1},
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
        print("\n".join(f"{one['label']}: {one['status']}: {one['reason']}" for one in summary.failed.values()))
        return 1
    wall = time.time() - psutil.Process().create_time()
    print(report(summary, wall))
    return int(ratio(summary, summary.wall_s) > LIMIT)


def ratio(summary: Summary, wall_s: float) -> float:
    """Wall time over what could not be saved: the calls themselves and one import of the libraries."""
    return wall_s / (summary.calls_s + summary.import_s)


def report(summary: Summary, wall_s: float) -> str:
    """The figures as a Markdown section; ``wall_s`` is the whole process's, scoring included."""
    here = environment.here("cpu")
    trial = next(iter(summary.records.values()))["trial"]
    rows = [
        ("pipeline calls", f"{summary.calls_s:.1f} s"),
        ("one import of the libraries", f"{summary.import_s:.1f} s"),
        ("wall time of measuring", f"{summary.wall_s:.1f} s, {ratio(summary, summary.wall_s):.2f} times"),
        ("wall time with scoring and Python's start", f"{wall_s:.1f} s, {ratio(summary, wall_s):.2f} times"),
        ("limit", f"{LIMIT} times (calls + import)"),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    about = (
        f"Steps {', '.join(map(str, STUDY['vary']['steps']))} of the bundled {trial['pipeline']} model at "
        f"{trial['settings']['resolution']} px, {trial['protocol']['repeats']} repeats; {here['device']}, "
        f"load {here['load_1min']:.1f}, torch {here['packages']['torch']}, {environment.now()[:10]}."
    )
    return f"### Overhead of a sweep\n\n{about}\n\n| part | time |\n| --- | --- |\n{table}"


if __name__ == "__main__":
    sys.exit(main())
