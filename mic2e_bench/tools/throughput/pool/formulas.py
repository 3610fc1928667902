"""What queueing theory says of mean waiting times, to hold the simulation against.

Kleinrock, Queueing Systems I (1975): Erlang's C formula for M/M/c, Pollaczek and Khinchine's for M/D/1.
"""

from __future__ import annotations


def mm_c(workers: int, load: float, service_s: float = 1.0) -> float:
    """Mean wait in seconds before ``workers`` with exponential service times of this mean, at this load (0 to 1)."""
    offered = load * workers
    blocked = 1.0  # Erlang's B, by its recursion in the number of workers
    for count in range(1, workers + 1):
        blocked = offered * blocked / (count + offered * blocked)
    waits = blocked / (1 - load * (1 - blocked))
    return waits * service_s / (workers * (1 - load))


def md_1(load: float, service_s: float = 1.0) -> float:
    """Mean wait in seconds before one worker whose service always takes the same time."""
    return load * service_s / (2 * (1 - load))
