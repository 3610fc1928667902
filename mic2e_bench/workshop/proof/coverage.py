"""Does every interval that is printed cover what it says? ``python -m mic2e_bench.workshop.proof.coverage``

Each interval of ``statistics`` is made of samples that are drawn as its callers have them, from lognormal,
autocorrelated, bimodal and outlier-ridden noise, and must hold the truth in nine of ten cases at least, or not be
given. Each build, and each scene, is off by its own 5 % beside that. Then repeated looks: a change that is exactly the
threshold, looked at after each round from the sixth to the 48th, must be called worse in 2.5 % at most. Exits with 1
where either is missed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from mic2e_bench import statistics
from mic2e_bench.workshop import proof

LIMIT, LOOKS_LIMIT = 0.90, 0.025
RUNS, PATHS = 600, 100_000
SIZES = (3, 5, 8, 20)
SHIFT = 0.05  # a build's own, or a scene's
CALLS, SEEDS = 5, 2
TRUTH = 1.1  # of ratios, where nothing else is said
Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
Case = Callable[[np.random.Generator, Noise, int], tuple[float, list[float] | None]]


def lognormal(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.exp(0.5 * draw.standard_normal(shape))


def autocorrelated(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """AR(1) of 0.7 along the last axis: calls of one process, or pictures of one scene."""
    found = draw.standard_normal(shape)
    for at in range(1, shape[-1]):
        found[..., at] = 0.7 * found[..., at - 1] + np.sqrt(1 - 0.7**2) * found[..., at]
    return np.exp(0.1 * found)


def bimodal(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.where(draw.random(shape) < 0.3, 1.5, 1.0) * np.exp(0.03 * draw.standard_normal(shape))


def outliers(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.where(draw.random(shape) < 0.1, 3.0, 1.0) * np.exp(0.05 * draw.standard_normal(shape))


NOISES: dict[str, Noise] = {
    "lognormal": lognormal, "autocorrelated": autocorrelated, "bimodal": bimodal, "outliers": outliers
}  # fmt: skip


def builds(draw: np.random.Generator, noise: Noise, count: int, sides: int, level: float = 1.0) -> np.ndarray:
    """Seconds (side, build, call) in turns: a machine that drifts (AR(1) 0.7 over all that is built, sides in random
    order), each build's own shift, and calls with noise. The last side takes ``level`` times as long.
    """
    machine = np.log(autocorrelated(draw, (count * sides,))).reshape(count, sides)
    order = draw.permuted(np.tile(np.arange(sides), (count, 1)), axis=1)
    slow = np.take_along_axis(machine, order, axis=1).T
    seconds = np.exp(slow + SHIFT * draw.standard_normal((sides, count)))[..., None] * noise(
        draw, (sides, count, CALLS)
    )
    seconds[-1] *= level
    return seconds


def scenes(draw: np.random.Generator, noise: Noise, count: int) -> tuple[np.ndarray, list[str]]:
    """A metric's value of each picture (scene times seed), and the scene of each: its own level, then its seeds'."""
    levels = noise(draw, (count, 1)) if noise is not autocorrelated else 1.0
    values = levels * np.exp(SHIFT * draw.standard_normal((count, 1))) * noise(draw, (count, SEEDS))
    return values.ravel(), [str(scene) for scene in range(count) for _ in range(SEEDS)]


def speed_up(draw, noise, count):
    base, head = builds(draw, noise, count, 2, TRUTH).reshape(2, -1)
    return np.log(TRUTH), statistics.over_builds([head], [base], np.repeat(range(count), CALLS))[1]


def two_speed_ups(draw, noise, count):
    *others, last = builds(draw, noise, count, 4, TRUTH).reshape(4, -1)
    return np.log(TRUTH), statistics.over_builds([others[0], last], others[1:], np.repeat(range(count), CALLS))[1]


def change(draw, noise, count):
    return TRUTH, statistics.change(*builds(draw, noise, count, 2, TRUTH))[1]


def across_machines(draw, noise, count):
    (own, base), (other_own, head) = (builds(draw, noise, count, 2, level) for level in (1.0, TRUTH))
    return TRUTH, statistics.change(statistics.to_own(base, own), statistics.to_own(head, other_own))[1]


def difference(draw, noise, count):
    (base, names), (head, _) = (scenes(draw, noise, count) for _ in range(2))
    return 0.1, statistics.difference(base, head + 0.1, names)[1]


def mean(draw, noise, count):
    values, names = scenes(draw, noise, count)
    return _true_mean(noise), statistics.mean(values, names)[1]


def ratio(draw, noise, count):
    (above, names), (below, _) = (scenes(draw, noise, count) for _ in range(2))
    return 1.0, statistics.ratio(above, below, names)[1]


def median(draw, noise, count):
    return _true_median(noise), statistics.median(list(noise(draw, (count,))))[1]


@functools.cache
def _true_mean(noise: Noise) -> float:
    return float(np.mean(scenes(np.random.default_rng(0), noise, 500_000)[0]))


@functools.cache
def _true_median(noise: Noise) -> float:
    return float(np.median(noise(np.random.default_rng(0), (100_000, CALLS))))


CASES: dict[str, Case] = {
    "speed-up over builds": speed_up,
    "ratio of two speed-ups (ablation)": two_speed_ups,
    "change over rounds (`compare`)": change,
    "the same across machines": across_machines,
    "difference over scenes (`compare`)": difference,
    "mean over scenes": mean,
    "ratio of means over scenes (`quality %`)": ratio,
    "median of calls (stops repeats)": median,
}
OF_MANY = ("mean over scenes", "ratio of means over scenes (`quality %`)")  # shown for so many scenes as they need
STOPS = {("median of calls (stops repeats)", "autocorrelated")}  # printed nowhere: shown, and not held to the limit


def covered(case: Case, noise: Noise, count: int, runs: int, seed: int = 0) -> float | None:
    """The share of runs whose interval holds the truth; ``None`` where none is given."""
    draw, inside, given = np.random.default_rng(seed), 0, 0
    for _ in range(runs):
        truth, ends = case(draw, noise, count)
        if ends is None and not given:
            return None  # it depends on the number of samples alone
        given += 1
        inside += ends[0] <= truth <= ends[1]
    return inside / given


def called_worse(paths: int, end: Callable[[int], float], normal: bool = True, seed: int = 0) -> float:
    """How often a change that is exactly the threshold is called worse at one look or another, from the sixth round on.

    It is called so where the interval's low end, the pairs' mean of some rank, is above the truth: where fewer pairs'
    means than that rank are below.
    """
    draw, most = np.random.default_rng(seed), statistics.MOST_ROUNDS
    shape = (paths, most)
    values = draw.standard_normal(shape, dtype=np.float32)
    if not normal:
        values += 10 * values * (draw.random(shape, dtype=np.float32) < 0.1)
    below, worse = np.zeros(paths, dtype=int), np.zeros(paths, dtype=bool)
    for rounds in range(1, most + 1):
        below += np.count_nonzero(values[:, :rounds] + values[:, rounds - 1 : rounds] < 0, axis=1)
        if rounds >= statistics.ENOUGH:
            worse |= below < statistics.signed_rank_tail(rounds, end(rounds))
    return float(np.mean(worse))


def main() -> int:
    """Print a row for each interval and noise, and how often repeated looks err."""
    rows, missed = [], False
    for name, case in CASES.items():
        for of, noise in NOISES.items():
            sizes = (*SIZES, statistics.SCENES) if name in OF_MANY else SIZES
            found = [covered(case, noise, count, RUNS) for count in sizes]
            free = (name, of) in STOPS
            missed |= not free and any(share is not None and share < LIMIT for share in found)
            cells = ["no interval" if share is None else f"{share:.1%}{'*' * free}" for share in found]
            rows.append((name, of, *cells, *[""] * (1 + len(SIZES) - len(sizes))))
    about = (
        f"Shares of {RUNS} simulated samples whose 95 % interval holds the truth. Limit: {LIMIT:.0%}, or no interval. "
        f"n: builds, rounds, scenes or calls; {CALLS} calls a build, {SEEDS} seeds a scene, {SHIFT:.0%} from build to "
        "build and from scene to scene, on a machine that drifts. *: a rule to stop by, which is printed nowhere."
    )
    header = ("interval", "noise", *(f"n = {count}" for count in (*SIZES, statistics.SCENES)))
    print(proof.section("Coverage", about, header, rows))
    share = called_worse(PATHS, statistics.end_at, normal=False)
    once = called_worse(PATHS // 10, lambda rounds: statistics.END)
    looks = [
        ("as `compare` looks", f"{share:.2%}", f"at most {LOOKS_LIMIT:.1%}"),
        ("each look as if it were the only one", f"{once:.1%}", "not done"),
    ]
    about = (
        f"A change exactly on the threshold, looked at after each round, the sixth to the {statistics.MOST_ROUNDS}th; "
        f"{PATHS:,} runs."
    )
    print("\n" + proof.section("Repeated looks", about, ("interval", "called worse at any look", "limit"), looks))
    return int(missed or share > LOOKS_LIMIT)


if __name__ == "__main__":
    proof.start(main, __doc__)
