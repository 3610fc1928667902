"""How few trials a search needs: on a sealed landscape (``landscape_file.py``), replayed, beside other samplers.

``python -m mic2e_bench.workshop.proof.landscape`` replays every landscape of ``results/landscape``, prints Markdown for
BENCHMARKS.md, and exits with 1 where the median search is below the limit. ``... pack PARAMS`` makes a landscape of a
study's records.
"""

from __future__ import annotations

import functools
import statistics
import sys
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import optuna
from optuna.trial import TrialState

from mic2e_bench import paths
from mic2e_bench.arguments import count, path
from mic2e_bench.errors import BadInput
from mic2e_bench.plan import params
from mic2e_bench.report.tabular import Table
from mic2e_bench.tools.recommend.pareto import nondominated
from mic2e_bench.tools.tune import hypervolume
from mic2e_bench.tools.tune.guesses import guesses
from mic2e_bench.tools.tune.sampler import params_of, propose, sampler, suggest
from mic2e_bench.tools.tune.search import BATCH
from mic2e_bench.tools.tune.space import GridPoint
from mic2e_bench.workshop.command import one_line, parser
from mic2e_bench.workshop.proof import landscape_file
from mic2e_bench.workshop.proof.landscape_file import Landscape

LIMIT, AT, SEEDS = 0.95, 0.2, 20  # of the true front's hypervolume, with this share of the trials, median of the seeds
SHARES = (0.05, 0.1, AT, 0.3)
ASKS = 3  # for each trial, at most: a sampler may propose again what was tried, or what cannot be measured

Replay = Callable[[Landscape, int, int], list[GridPoint]]


def ours(landscape: Landscape, count: int, seed: int) -> list[GridPoint]:
    """What ``tune`` does: first guesses, then batches of its sampler, each point once."""
    study = _study(landscape, sampler(seed), first=True)
    order: dict[GridPoint, None] = {}
    while len(order) < count:
        batch = []
        for _ in range(min(BATCH, count - len(order))):
            batch.append(propose(study, landscape.space, order, {}))
            order[batch[-1][1]] = None
        for trial, point in batch:
            costs = landscape.space.values[point]
            for name, cost, limit in zip(landscape.names, costs or (), landscape.limits, strict=bool(costs)):
                if np.isfinite(limit):
                    trial.set_constraint(name, cost - limit)
            _tell(study, trial, costs)
    return list(order)


def default(landscape: Landscape, count: int, seed: int, first: bool = False) -> list[GridPoint]:
    """Optuna's default sampler for several objectives; ``first``: with the first guesses of ``tune``."""
    kind = type(optuna.create_study(directions=["minimize"] * 3).sampler)
    return replay(landscape, count, kind(seed=seed), first)


def random(landscape: Landscape, count: int, seed: int) -> list[GridPoint]:
    return replay(landscape, count, optuna.samplers.RandomSampler(seed=seed))


SAMPLERS: dict[str, Replay] = {
    "tune": ours,
    "random search": random,
    "Optuna's default": default,
    "Optuna's default, with tune's first guesses": functools.partial(default, first=True),
}


def replay(
    landscape: Landscape, count: int, sampler: optuna.samplers.BaseSampler, first: bool = False
) -> list[GridPoint]:
    """The first ``count`` different points that a sampler has measured, in order; failed ones are trials too.

    Points that were tried already, and those that cannot be measured, cost nothing: a run would find the record or
    refuse them.
    """
    study = _study(landscape, sampler, first)
    values, order = landscape.space.values, {}
    for _ in range(ASKS * count):
        trial = study.ask()
        point = suggest(trial, landscape.space)
        _tell(study, trial, values.get(point))
        if point in values:
            order[point] = None
        if len(order) >= count:
            break
    return list(order)


def _study(landscape: Landscape, sampler: optuna.samplers.BaseSampler, first: bool) -> optuna.Study:
    study = optuna.create_study(directions=["minimize"] * len(landscape.names), sampler=sampler)
    if first:
        for point in guesses(landscape.space).values():
            study.enqueue_trial(params_of(landscape.space, point))
    return study


def _tell(study: optuna.Study, trial: optuna.Trial, costs: Sequence[float] | None) -> None:
    study.tell(trial, costs or None, None if costs else TrialState.FAIL)


def reached(landscape: Landscape, order: Sequence[GridPoint], counts: Sequence[int]) -> list[float]:
    """The share of the true front's hypervolume that the first ``counts`` points of an order dominate."""
    reference, ideal = landscape.box()
    whole = hypervolume.share(landscape.costs, reference, ideal)
    found = []
    for most in counts:
        costs = [value for point in order[:most] if (value := landscape.space.values[point])]
        found.append(hypervolume.share(np.array(costs).reshape(-1, len(reference)), reference, ideal) / whole)
    return found


def compare(landscape: Landscape, seeds: int = SEEDS) -> dict[str, np.ndarray]:
    """For each sampler the shares of the hypervolume, shape (seeds, SHARES)."""
    counts = [max(1, round(share * len(landscape.space.values))) for share in SHARES]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
        for name, sampler in SAMPLERS.items():
            rows = []
            for seed in range(seeds):
                print(f"{landscape.name}: {name}, seed {seed + 1}/{seeds}", file=sys.stderr, flush=True)
                rows.append(reached(landscape, sampler(landscape, counts[-1], seed), counts))
            found[name] = np.array(rows)
    return found


def report(landscape: Landscape, found: dict[str, np.ndarray]) -> str:
    """Markdown: medians over the seeds, the worst and the best in brackets."""
    size, front = len(landscape.space.values), int(nondominated(landscape.costs).sum())
    counts = [f"{share:.0%} ({max(1, round(share * size))})" for share in SHARES]
    rows = [
        [name, *(f"{np.median(column):.1%} [{column.min():.1%}, {column.max():.1%}]" for column in shares.T)]
        for name, shares in found.items()
    ]
    here, seeds = landscape.about["environment"], len(next(iter(found.values())))
    caption = (
        f"Share of the true front's hypervolume after so many of the {size} trials: median of {seeds} seeds [worst, "
        f"best]. {landscape.name}: {front} points on the true front; {landscape.about['stand_ins']}; measured on "
        f"{here['device']}, {here['finished'][:10]}. The box goes from the front's best value of each quantity "
        f"({', '.join(landscape.names)}, each in its own unit) to 10 % of its range beyond its worst, a quality of 0 % "
        f"at most. Repeated and impossible proposals cost the other samplers nothing, up to {ASKS} proposals a trial."
    )
    limit = f"limit: the median search reaches {LIMIT:.0%} with {AT:.0%} of the trials"
    header = ["sampler", *counts]
    return f"### Searching instead of sweeping\n\n{Table(header, rows, caption).markdown()}\n{limit}\n"


@one_line
def main(arguments: Sequence[str] | None = None) -> int:
    """Replay, or pack; returns the exit code."""
    read = parser(__doc__)
    read.add_argument("pack", nargs="*", metavar="pack PARAMS", help="seal the records of a study with vary:")
    read.add_argument("--results", type=path, default=None, metavar="DIR", help="results folder (default: results/)")
    read.add_argument("--seeds", type=count, default=SEEDS)
    options = read.parse_args(arguments)
    results = options.results or paths.results()
    if options.pack:
        if len(options.pack) != 2 or options.pack[0] != "pack":
            read.error("write: pack PARAMS")
        path = landscape_file.write(landscape_file.pack(params.read(options.pack[1]), results), results / "landscape")
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
        return 0
    files = sorted((results / "landscape").glob("*.json.gz"))
    if not files:
        raise BadInput(
            f"no landscape in {results / 'landscape'}: mic2e-bench run PARAMS, then ... landscape pack PARAMS."
        )
    medians = []
    for path in files:
        landscape = landscape_file.load(path)
        found = compare(landscape, options.seeds)
        print(report(landscape, found))
        medians.append(statistics.median(found["tune"][:, SHARES.index(AT)]))
    return int(min(medians) < LIMIT)


if __name__ == "__main__":
    sys.exit(main())
