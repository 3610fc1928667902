"""Is a difference called one where there is one, and only there? ``python -m mic2e_bench.workshop.proof.agreement``

On one live build of bundled FLUX, two settings take turns call by call, and the ratio of the two calls of a round gets
the 95 % interval of ``statistics.paired``: what calls of one build do, without what another build would. A/A: both are
the same setting; a difference is called where the interval leaves 1 out. A/B: the second waits 5 % of its own time more
in every call. Exits with 1 where A/A is called different more often than 5 % of the comparisons and chance explain (1 %
of such benchmarks), or A/B found in less than 80 %.
"""

from __future__ import annotations

import functools
import time

import numpy as np
from scipy import stats

from mic2e_bench import statistics
from mic2e_bench.run import measure
from mic2e_bench.workshop import proof

COMPARISONS, ROUNDS = 50, 20
SLOWER = 0.05
MOST_FALSE, LEAST_FOUND = int(stats.binom.ppf(0.99, COMPARISONS, 0.05)), 0.80


def main() -> int:
    """Print how many of the comparisons were called different, for A/A and for A/B."""
    live = proof.live({"pipeline": "flux-schnell", "baseline": {"steps": 1, "resolution": 128}})
    for _ in range(3):
        call(*live)
    false, found = (sum(different(live, more) for _ in range(COMPARISONS)) for more in (0.0, SLOWER))
    about = (
        f"{COMPARISONS} comparisons each, of {ROUNDS} interleaved rounds of FLUX, 128 px, 1 step. Different: the "
        "95 % interval of the ratio leaves 1 out."
    )
    rows = [
        ("A/A: the same setting", f"{false} of {COMPARISONS}", f"at most {MOST_FALSE}"),
        (f"A/B: {SLOWER:.0%} slower", f"{found} of {COMPARISONS}", f"at least {LEAST_FOUND:.0%}"),
    ]
    print(proof.section("Agreement", about, ("comparison", "called different", "limit"), rows))
    return int(false > MOST_FALSE or found < LEAST_FOUND * COMPARISONS)


def call(build, item, slower: float = 0.0) -> float:
    """Seconds of one timed call, as the harness makes it, and of a wait of that share more."""
    seconds = measure.timed_call(build, item, 42)["latency_s"]
    if not slower:
        return seconds
    start = time.perf_counter()
    time.sleep(slower * seconds)
    return seconds + time.perf_counter() - start


def different(live, slower: float) -> bool:
    """Whether a comparison of a setting with itself, ``slower`` by that share, says that they differ."""
    one, other = proof.in_turns(ROUNDS, *(functools.partial(call, *live, more) for more in (0.0, slower)))
    _, (low, high) = statistics.paired(np.log(other) - np.log(one))
    return not low <= 0 <= high


if __name__ == "__main__":
    proof.start(main, __doc__)
