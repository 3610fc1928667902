"""Is a difference called one where there is one, and only there? ``python -m mic2e_bench.workshop.proof.agreement``

On one live build of bundled FLUX, two settings take turns call by call, and the ratio of the two calls of a round gets
the 95 % interval of ``statistics.paired``: what calls of one build do, without what another build would. A/A: both are
the same setting; a difference is called where the interval leaves 1 out. A/B: the second waits a share of its own time
more in every call, as large as ``compare`` says that so many rounds of the noise that A/A had find in 80 %. Exits with
1 where A/A is called different more often than 5 %, or A/B found less often than 80 %, and chance explain (each in 1 %
of such benchmarks).
"""

from __future__ import annotations

import functools
import math
import time

import numpy as np
from scipy import stats

from mic2e_bench import statistics
from mic2e_bench.run import measure
from mic2e_bench.workshop import proof

COMPARISONS, ROUNDS = 50, 20
MOST_FALSE, LEAST_FOUND = (int(stats.binom.ppf(end, COMPARISONS, share)) for end, share in ((0.99, 0.05), (0.01, 0.8)))


def main() -> int:
    """Print how many of the comparisons were called different, for A/A and for A/B."""
    live = proof.live({"pipeline": "flux-schnell", "baseline": {"steps": 1, "resolution": 128}})
    for _ in range(3):
        call(*live)
    same = [logs(live, 0.0) for _ in range(COMPARISONS)]
    noise = float(np.median([np.std(each, ddof=1) for each in same]))
    slower = math.expm1(statistics.tells(ROUNDS) * noise)
    false, found = sum(map(different, same)), sum(different(logs(live, slower)) for _ in range(COMPARISONS))
    about = (
        f"{COMPARISONS} comparisons each, of {ROUNDS} interleaved rounds of FLUX, 128 px, 1 step. Different: the "
        f"95 % interval of the ratio leaves 1 out. Noise of a round: {noise:.1%}."
    )
    rows = [
        ("A/A: the same setting", f"{false} of {COMPARISONS}", f"at most {MOST_FALSE}"),
        (f"A/B: {slower:.1%} slower", f"{found} of {COMPARISONS}", f"at least {LEAST_FOUND}"),
    ]
    print(proof.section("Agreement", about, ("comparison", "called different", "limit"), rows))
    return int(false > MOST_FALSE or found < LEAST_FOUND)


def call(build, item, slower: float = 0.0) -> float:
    """Seconds of one timed call, as the harness makes it, and of a wait of that share more."""
    seconds = measure.timed_call(build, item, 42)["latency_s"]
    if not slower:
        return seconds
    start = time.perf_counter()
    time.sleep(slower * seconds)
    return seconds + time.perf_counter() - start


def logs(live, slower: float) -> np.ndarray:
    """How much longer the second of each round took, ``slower`` by that share, than the first: of logarithms."""
    one, other = proof.in_turns(ROUNDS, *(functools.partial(call, *live, more) for more in (0.0, slower)))
    return np.log(other) - np.log(one)


def different(apart: np.ndarray) -> bool:
    """Whether a comparison says that the two differ."""
    _, (low, high) = statistics.paired(apart)
    return not low <= 0 <= high


if __name__ == "__main__":
    proof.start(main, __doc__)
