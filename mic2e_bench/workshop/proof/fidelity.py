"""Does the harness time what a plain loop times? ``python -m mic2e_bench.workshop.proof.fidelity``

For each bundled pipeline one build in one process, called in turn by the harness's timed call and by a bare loop of
``perf_counter`` around the very same pipeline call (A B A B, the order changing every round), so that whatever the
machine does meets both. Exits with 1 where the ratio of the medians is outside 1.00 ± 0.02.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from mic2e_bench.catalog import registry
from mic2e_bench.run import measure
from mic2e_bench.statistics import ratio_over_rounds
from mic2e_bench.workshop import proof

LIMIT = 0.02
ROUNDS = 20
# small enough for twenty rounds, large enough that a call is a tenth of a second
SETTINGS: dict[str, dict[str, Any]] = {
    "objectclear": {"steps": 2, "resolution": 192},
    "sdxl-inpaint": {"steps": 4, "resolution": 192, "guidance": 5.0},
    "flux-schnell": {"steps": 4, "resolution": 192},
    "z-image-turbo": {"steps": 4, "resolution": 192},
    "sam3": {"prompt_kind": "text"},
}


def main() -> int:
    """Print a row for each pipeline: the two medians, their ratio and its 95 % interval."""
    lines, missed = [], False
    for name in registry.pipelines():
        harness, bare = rounds(name)
        ratio, (low, high) = ratio_over_rounds(harness, bare)
        missed |= abs(ratio - 1) > LIMIT
        medians = (f"{statistics.median(samples):.4f} s" for samples in (harness, bare))
        lines.append((name, *medians, f"{ratio:.4f} [{low:.4f}, {high:.4f}]"))
    about = (
        f"Median latency of {ROUNDS} calls by the harness and of {ROUNDS} in a bare loop, the two taking turns on "
        f"one build. Limit: 1.00 ± {LIMIT}. Bundled models, {SETTINGS['objectclear']['resolution']} px."
    )
    print(proof.section("Fidelity", about, ("pipeline", "harness", "bare loop", "ratio [95 % interval]"), lines))
    return int(missed)


def rounds(name: str) -> list[list[float]]:
    """Seconds of the harness's calls and of the bare loop's, in rounds on one live build."""
    build, item = proof.live({"pipeline": name, "model": "bundled", "baseline": SETTINGS[name]})

    def bare_call() -> float:
        with build.around():  # no gradients, as every caller has it
            start = time.perf_counter()
            build.pipeline.call(build, item, 42)
            return time.perf_counter() - start

    def harness_call() -> float:
        return measure.timed_call(build, item, 42)["latency_s"]

    for call in (harness_call, bare_call):
        call()
    return proof.in_turns(ROUNDS, harness_call, bare_call)


if __name__ == "__main__":
    proof.start(main, __doc__)
