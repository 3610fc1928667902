"""How little measuring a search needs: on stored landscapes (``landscape_file.py``), replayed, beside its rivals.

``python -m mic2e_bench.workshop.proof.landscape`` replays every landscape of ``results/landscape``, prints Markdown for
BENCHMARKS.md, and exits with 1 where ``tune`` is below its limit on the landscape of a real choice. ``... pack PARAMS``
makes a landscape of a study's records; ``... measure PARAMS`` measures some points of a ``space:`` for one.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.trial import TrialState

from mic2e_bench import paths
from mic2e_bench.arguments import count, path
from mic2e_bench.errors import BadInput
from mic2e_bench.plan import params
from mic2e_bench.tools.tune import hypervolume, space_file
from mic2e_bench.tools.tune.budget import Allowance
from mic2e_bench.tools.tune.race import Race
from mic2e_bench.tools.tune.sampler import sampler, suggest
from mic2e_bench.tools.tune.search import Search
from mic2e_bench.tools.tune.space import GridPoint
from mic2e_bench.workshop.command import one_line, parser
from mic2e_bench.workshop.proof import landscape_file, landscape_part
from mic2e_bench.workshop.proof.landscape_file import Landscape
from mic2e_bench.workshop.proof.landscape_report import SHARES, Played, grid_s, limits, missed, report
from mic2e_bench.workshop.proof.replay import Replay

SEEDS = 20
MOST_VAIN = 200  # proposals in a row that were tried already, or cannot be: a rival that makes them has ended
PATIENT = 10**9  # trials: the replays end by time alone


@dataclass(frozen=True)
class Rival:
    """A way to search. ``race``: through cheap looks, grouped by builds; else one point at a time, in full."""

    name: str
    sampler: str
    race: bool
    seeds: int = SEEDS
    most_share: float = SHARES[-1]


RIVALS = (
    Rival("tune", "nsga2", race=True),
    Rival("random search", "random", race=False),
    Rival("NSGA-II", "nsga2", race=False),
    Rival("TPE", "tpe", race=False, seeds=5),
    Rival("GP", "gp", race=False, seeds=1, most_share=SHARES[0]),
)


def play(landscape: Landscape, rival: Rival, share: float, seed: int) -> Played:
    """One search within a share of the seconds of the grid."""
    begin, budget_s = time.monotonic(), share * grid_s(landscape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
        ways = ["minimize" if name != "quality" else "maximize" for name in landscape.names]
        study = optuna.create_study(directions=ways, sampler=sampler(rival.sampler, seed))
        race = _raced(landscape, study, budget_s, seed) if rival.race else _alone(landscape, study, budget_s, seed)
    named = [landscape.space.values[point] for point in race.alive()]
    return Played(volume(landscape, named), len(race.looks), time.monotonic() - begin)


def _raced(landscape: Landscape, study: optuna.Study, budget_s: float, seed: int) -> Race:
    bench = Replay(landscape, seed)
    search = Search(bench, study, Allowance(seconds=budget_s), PATIENT, clock=lambda: bench.spent_s, quiet=True)
    search.run()
    return search.race


def _alone(landscape: Landscape, study: optuna.Study, budget_s: float, seed: int) -> Race:
    """One point after another under the full protocol, as the sampler asks for them; what was tried costs nothing."""
    bench = Replay(landscape, seed, rungs=1, alone=True)
    race = Race(landscape.space, landscape.names, 1, bench.worst, foretells=False)
    tried: set[GridPoint] = set()
    vain = 0
    while vain < MOST_VAIN:
        trial = study.ask()
        point = suggest(trial, landscape.space)
        vain += 1
        if not bench.why_not(point) and point not in tried:
            vain = 0
            tried.add(point)
            if bench.spent_s + bench.expected([point], 0) > budget_s:
                return race
            race.add(point, 0, bench.look([point], 0)[point])
        look = race.looks.get(point, {}).get(0)
        if look is None:
            study.tell(trial, state=TrialState.FAIL)
        else:
            pairs = zip(landscape.names, look.costs, strict=True)
            study.tell(trial, [-cost if name == "quality" else cost for name, cost in pairs])
    return race


def volume(landscape: Landscape, costs: Sequence[Sequence[float]]) -> float:
    """The share of the true front's hypervolume that points dominate."""
    reference, ideal = landscape.box()
    whole = hypervolume.share(landscape.costs, reference, ideal)
    return hypervolume.share(np.array(costs, dtype=float).reshape(-1, len(reference)), reference, ideal) / whole


def _job(job: tuple[str, int, float, int]) -> Played:
    where, rival, share, seed = job
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return play(landscape_file.load(where), RIVALS[rival], share, seed)


def compare(where: str, seeds: int = SEEDS) -> dict[str, dict[float, list[Played]]]:
    """What each rival reaches, by share of the time, in two processes."""
    jobs = [(where, at, share, seed) for at, rival in enumerate(RIVALS) for share in SHARES
            if share <= rival.most_share for seed in range(min(seeds, rival.seeds))]  # fmt: skip
    found: dict[str, dict[float, list[Played]]] = {rival.name: {} for rival in RIVALS}
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # of each of the two
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for number, (job, played) in enumerate(zip(jobs, pool.imap(_job, jobs), strict=True), 1):
            rival = RIVALS[job[1]].name
            print(f"{number}/{len(jobs)} {rival}, {job[2]:.0%}: {played.share:.1%}", file=sys.stderr, flush=True)
            found[rival].setdefault(job[2], []).append(played)
    return found


@one_line
def main(arguments: Sequence[str] | None = None) -> int:
    """Replay, measure, or pack; returns the exit code."""
    read = parser(__doc__)
    read.add_argument(
        "what", nargs="*", metavar="pack|measure PARAMS", help="measure a part, or seal what was measured"
    )
    read.add_argument("--results", type=path, default=None, metavar="DIR", help="results folder (default: results/)")
    read.add_argument("--seeds", type=count, default=SEEDS)
    options = read.parse_args(arguments)
    results = options.results or paths.results()
    if options.what:
        if len(options.what) != 2 or options.what[0] not in ("pack", "measure"):
            read.error("write: pack PARAMS, or measure PARAMS")
        return _make(*options.what, results)
    files = sorted((results / "landscape").glob("*.json.gz"))
    if not files:
        raise BadInput(
            f"no landscape in {results / 'landscape'}: mic2e-bench run PARAMS, then ... landscape pack PARAMS."
        )
    print("### Searching instead of sweeping\n")
    short: list[str] = []
    for where in files:
        landscape = landscape_file.load(where)
        found = compare(str(where), options.seeds)
        print(report(landscape, found))
        short += missed(landscape, found)
    print(limits(short))
    return int(bool(short))


def _make(what: str, given: str, results: path) -> int:
    content = params.content(given)
    if "space" in content:
        study, space = space_file.read(given)
        if what == "measure":
            landscape_part.measure(study, space, results)
            return 0
        made = landscape_part.pack(study, space, results, content["space"])
    else:
        made = landscape_file.pack(params.read(given), results)
    where = landscape_file.write(made, results / "landscape")
    print(f"{where}: {where.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
