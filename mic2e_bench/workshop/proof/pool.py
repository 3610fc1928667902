"""Are pools measured rightly? ``python -m mic2e_bench.workshop.proof.pool``

Two workers on Ray with the bundled ObjectClear: how the throughput scales, and whether the simulation, given the same
arrivals and busy times, waits as long as the real pool. Then the simulation alone: against the formulas of M/M/c and
M/D/1, and the four policies from 1 to 64 workers. Then the load: is it on schedule with workers that only sleep for
1 ms, at 200 requests a second; and is every request answered once when one of them is killed? Exits with 1 where the
simulation is off by more than 10 %, leaves the formulas more often than chance explains (in 1 % of such benchmarks),
another policy has a lower p99 than ``first_free``, p99 of the load is more than 1 ms late, or an answer is missing.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from mic2e_bench import statistics, units
from mic2e_bench.tools import cluster
from mic2e_bench.tools.throughput import arrivals, generator, measure, percentiles, study
from mic2e_bench.tools.throughput.percentiles import Figure, over_runs
from mic2e_bench.tools.throughput.pool import formulas, simulated, told
from mic2e_bench.tools.throughput.pool.policies import POLICIES
from mic2e_bench.tools.throughput.pool.pool import Pool
from mic2e_bench.tools.throughput.pool.workers import Idle, RayWorker
from mic2e_bench.tools.throughput.record import ThroughputRecord
from mic2e_bench.tools.throughput.requests import Answer, Request
from mic2e_bench.workshop import proof

POOL = {"workers": [1, 2], "load": [0.5, 0.8], "requests": 100, "runs": 6}
STUDY = {"study": "pool", "kind": "pool", "pipeline": "objectclear", "baseline": {"steps": 1, "resolution": 64}}
OFF = 0.10  # of the mean wait
WORKERS, LOADS, MIXES = (1, 4, 16, 64), (0.5, 0.7, 0.8, 0.9, 0.95), ((1,), (1, 1, 1, 4))
MM_C = [(workers, load) for workers in (1, 2, 4, 16) for load in (0.5, 0.8, 0.9)] + [(64, 0.8), (64, 0.9)]
MD_1 = (0.5, 0.8, 0.9)
FEWEST = int(stats.binom.ppf(0.01, len(MM_C) + len(MD_1), 0.95))
RATE, SERVICE_S, LATE_S = 200.0, 0.001, 0.001  # requests a second; seconds


def main(runs: int, requests: int) -> int:
    """Print a section for each of the four; ``runs`` of so many ``requests`` are simulated."""
    record, missed = real()
    service_s = [one for run in record.runs if run["workers"] == 1 for one in run["answers"]["service_s"]]
    missed += against_formulas(2 * runs, 2 * requests)
    missed += by_policy(service_s, runs, requests)
    with cluster.connected(2, "cpu") as options:
        missed += generator.run(load(options))
    return int(bool(missed))


def real() -> tuple[ThroughputRecord, int]:
    """The real pool; its record, and whether the simulation of it is off."""
    asked = study.resolve({**STUDY, "inputs": proof.ONE_INPUT, "pool": POOL})
    with tempfile.TemporaryDirectory(prefix="mic2e-bench-") as folder:
        [[record]] = measure.studies([asked], Path(folder))
    if record.status != "ok":
        raise SystemExit(f"the pool: {record.status}: {record.reason}")
    ratio = told.agreement(record)
    about = (
        f"ObjectClear (bundled), 64 px, 1 step, on Ray; {POOL['requests']} requests a run, {POOL['runs']} runs in "
        f"turns, [95 % interval over runs]. {'; '.join(told.answer(record))}. {proof.place()}."
    )
    rows = [told.row(each, record) for each in told.conditions(record.runs)]
    print(proof.section("A pool of two workers", about, told.HEADER, rows), "\n")
    return record, int(abs(ratio.value - 1) > OFF)


def against_formulas(runs: int, requests: int) -> int:
    """Mean waits of the simulation beside those of queueing theory."""
    rows = [compared(f"M/M/{c}", load, formulas.mm_c(c, load), c, "exponential", runs, requests) for c, load in MM_C]
    rows += [compared("M/D/1", load, formulas.md_1(load), 1, "constant", runs, requests) for load in MD_1]
    inside = sum(row[-1] == "yes" for row in rows)
    about = (
        f"Simulated, first_free: mean wait in service times, {runs} runs of {requests} requests. The interval "
        f"holds the formula's in {inside} of {len(rows)} (at least {FEWEST}; 95 % of all are expected)."
    )
    header = ("queue", "load", "formula", "simulated [95 %]", "inside")
    print(proof.section("The simulation and queueing theory", about, header, rows), "\n")
    return int(inside < FEWEST)


def compared(
    name: str, load: float, expected: float, workers: int, service: str, runs: int, requests: int
) -> tuple[str, str, str, str, str]:
    """A row: a formula's mean wait, the simulation's, and whether its interval holds the formula's."""
    asked = {"arrivals": {"poisson": True}, "requests": requests, "images": [1], "service": service}
    waits = [simulated.one_run(asked, [1.0], workers, "first_free", load, run) for run in range(runs)]
    found = over_runs([one["mean_waiting_s"] for one in waits])
    low, high = found.interval
    return name, str(load), units.digits(expected), found.text(), "yes" if low <= expected <= high else "no"


def by_policy(service_s: Sequence[float], runs: int, requests: int) -> int:
    """p99 of the latency of each policy, from 1 to 64 workers; how often another's is lower than that of ours."""
    rows, beaten = [], 0
    for images in MIXES:
        asked = {"arrivals": {"poisson": True}, "requests": requests, "images": images, "service": "measured"}
        for workers in WORKERS:
            for load in LOADS:
                found = {name: _runs(asked, service_s, workers, name, load, runs) for name in POLICIES}
                ratios = [ratio(found[name], found["first_free"]) for name in POLICIES if name != "first_free"]
                beaten += any(one.interval[1] < 1 for one in ratios)
                mix = "1" if len(images) == 1 else "1 (3 of 4), 4"
                rows.append((workers, mix, load, *(over_runs(found[name]).text() for name in POLICIES), lowest(ratios)))
    about = (
        f"Simulated with the {len(service_s)} service times that one worker had (mean: 1): p99 of the latency, "
        f"{runs} runs of {requests} requests from an empty pool, a fifth of each left out, [95 % interval over runs]. "
        f"Last: the best of the other three over first_free. Another policy is better in {beaten} of {len(rows)}."
    )
    header = ("workers", "images", "load", *POLICIES, "best other / first_free")
    print(proof.section("Policies from 1 to 64 workers, simulated", about, header, rows), "\n")
    return int(beaten > 0)


def _runs(
    asked: Mapping[str, Any], service_s: Sequence[float], workers: int, policy: str, load: float, runs: int
) -> list[float]:
    """p99 of each run, in mean service times."""
    found = [simulated.one_run(asked, service_s, workers, policy, load, run)["p99_s"] for run in range(runs)]
    return [p99 / float(np.mean(service_s)) for p99 in found]


def ratio(one: Sequence[float], other: Sequence[float]) -> Figure:
    """One over the other, run by run, with its interval."""
    centre, ends = statistics.paired(np.log(one) - np.log(other))
    return Figure(float(np.exp(centre)), np.exp(ends).tolist())


def lowest(ratios: Sequence[Figure]) -> str:
    """The lowest ratio with its interval."""
    return min(ratios, key=lambda one: one.value).text()


async def load(options: Mapping[str, Any]) -> int:
    """Workers that only sleep: is the load on schedule, and what is answered when one of them is killed?"""
    workers = [RayWorker(f"worker {number}", Idle, SERVICE_S, options) for number in (1, 2)]
    seen = [(await worker.loaded())["seen"] for worker in workers]
    await open_run(workers, 200)  # the first calls start what Ray needs
    found = [await open_run(workers, 2000) for _ in range(statistics.ENOUGH)]
    late = [over_runs([percentiles.of_run(pool.late_s, share) for _, pool in found]) for share in (0.5, 0.99)]
    ways = [[one.ended_s - one.sent_s - one.service_s for one in answers] for answers, _ in found]
    ways = [percentiles.of_runs(ways, share) for share in (0.5, 0.99)]
    (answers, pool), _ = await asyncio.gather(open_run(workers, 2000), killed(seen[0]["pid"]))
    once = sum(one.status == "ok" for one in answers) == len({one.index for one in answers}) == 2000
    once = once and pool.replaced == 1
    answered = "every request was answered once" if once else "**requests were lost**"
    about = (
        f"Poisson arrivals at {RATE:.0f} a second before two workers on Ray that sleep for {1000 * SERVICE_S:.0f} ms; "
        f"{len(found)} runs of 2000 requests; ms, [95 % interval over runs]. One worker was killed in the middle of "
        f"a run and replaced: {answered}. {proof.place()}."
    )
    rows = [
        ("a request is handed over after it was due", *(one.text(1000) for one in late), f"p99 {1000 * LATE_S:.0f} ms"),
        ("to the worker and back, without its service", *(one.text(1000) for one in ways), "none"),
    ]
    print(proof.section("The load of a pool", about, ("what", "p50", "p99", "limit"), rows))
    return int(late[1].value > LATE_S or not once)


async def open_run(workers: Sequence[RayWorker], count: int) -> tuple[list[Answer], Pool]:
    """One open loop of so many requests."""
    requests = [Request(index, due, index) for index, due in enumerate(arrivals.poisson(RATE, count, 1))]
    clock = generator.Clock()
    pool = Pool(workers, POLICIES["first_free"](0), clock)
    answers = await generator.open_loop(requests, pool.send, clock)
    await pool.settled()
    return answers, pool


async def killed(pid: int) -> None:
    """SIGKILL after three seconds."""
    await asyncio.sleep(3)
    os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    proof.start(main, __doc__, runs=8, requests=10_000)
