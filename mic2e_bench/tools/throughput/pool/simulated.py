"""A simulated service: the same policies, arrivals and queues with service times that are drawn, on SimPy.

Nothing here is measured but the service times that are given; whoever shows a figure of it says "simulated".
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from mic2e_bench.errors import BadInput
from mic2e_bench.tools.throughput import arrivals, percentiles
from mic2e_bench.tools.throughput.kind import Job
from mic2e_bench.tools.throughput.pool.policies import POLICIES, Choose
from mic2e_bench.tools.throughput.serving import Server

WARMING = 5  # the part of a run that does not count is one of so many
SERVICES = ("measured", "exponential", "constant")


def waiting_s(arrivals_s: Sequence[float], service_s: Sequence[float], workers: int, choose: Choose) -> np.ndarray:
    """How long each request waits for its service, in seconds, of requests that arrive then and take so long."""
    simpy = imported()
    environment = simpy.Environment()
    waited = np.zeros(len(arrivals_s))
    queues: list[deque[int]] = [deque() for _ in range(workers)]
    shared: deque[int] = deque()
    queued, is_busy = [0] * workers, [False] * workers

    def work(worker: int) -> Generator[Any, Any, None]:
        while queue := queues[worker] or shared:
            index = queue.popleft()
            queued[worker] += queue is shared
            waited[index] = environment.now - arrivals_s[index]
            yield environment.timeout(service_s[index])
            queued[worker] -= 1
        is_busy[worker] = False

    def begin(worker: int) -> None:
        if not is_busy[worker]:
            is_busy[worker] = True
            environment.process(work(worker))

    def arrive() -> Generator[Any, Any, None]:
        for index, due in enumerate(arrivals_s):
            yield environment.timeout(max(0.0, due - environment.now))
            worker = choose(queued)
            if worker is None:
                shared.append(index)
                idle = next((one for one in range(workers) if not is_busy[one]), None)
                if idle is not None:
                    begin(idle)
            else:
                queues[worker].append(index)
                queued[worker] += 1
                begin(worker)

    environment.process(arrive())
    environment.run()
    return waited


def measure(asked: Mapping[str, Any], job: Job) -> dict[str, Any]:
    """Measure service times of one worker, then simulate every number of workers, policy and load with them."""
    imported()
    server = Server(job.trial, job.log)
    try:
        job.tell("service times", 0.0)
        server.ready()
        first = job.trial.protocol["seeds"][0]
        service_s = [server.call(first + index)["service_s"] for index in range(asked["calls"])]
    finally:
        server.kill()
    runs = []
    conditions = list(itertools.product(asked["workers"], asked["policies"], asked["load"]))
    for number, (workers, policy, load) in enumerate(conditions):
        job.tell(f"simulated, {workers} workers", 0.1 + 0.9 * number / len(conditions))
        for run in range(asked["runs"]):
            found = one_run(asked, service_s, workers, policy, load, run)
            runs.append({"workers": workers, "policy": policy, "load": load, "run": run, **found})
    return {"service_s": service_s, "runs": runs, "simulated": True}


def one_run(
    asked: Mapping[str, Any], service_s: Sequence[float], workers: int, policy: str, load: float, run: int
) -> dict[str, float | None]:
    """The figures of one run; arrivals and service times of a run are the same for every policy."""
    count = asked["requests"]
    taken = drawn(asked["service"], service_s, count, [run, workers])
    sizes = np.random.default_rng([run, workers, 1]).choice(asked["images"], count)
    rate = load * workers / float(np.mean(service_s) * np.mean(asked["images"]))
    due = arrivals.times(asked["arrivals"], rate, count, run)
    waited = waiting_s(due, taken * sizes, workers, POLICIES[policy](run))
    return _figures(waited, taken * sizes)


def drawn(service: str, measured_s: Sequence[float], count: int, seed: Sequence[int]) -> np.ndarray:
    """So many service times in seconds: some of the measured ones, or of their mean and another distribution."""
    draw, mean = np.random.default_rng(seed), float(np.mean(measured_s))
    if service == "measured":
        return draw.choice(measured_s, count)
    return draw.exponential(mean, count) if service == "exponential" else np.full(count, mean)


def _figures(waited: np.ndarray, service: np.ndarray) -> dict[str, float | None]:
    """Of the later four fifths of a run, which began with nobody waiting.

    ``rising_s``: how much longer requests waited in the second half of that than in the first, on average.
    """
    late = slice(len(waited) // WARMING, None)
    latency = (waited + service)[late]
    shares = {f"{name}_s": percentiles.of_run(latency, share) for name, share in percentiles.SHARES.items()}
    first, second = np.array_split(waited[late], 2)
    return {"mean_waiting_s": float(waited[late].mean()), "rising_s": float(second.mean() - first.mean()), **shares}


def imported() -> Any:
    """SimPy's package. Raises ``BadInput`` where it is not installed."""
    try:
        import simpy
    except ImportError:
        raise BadInput("SimPy is not installed: it is in the extra: pip install '.[throughput]'.") from None
    return simpy
