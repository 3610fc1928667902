"""The process that scores pictures: handed all jobs at once, it sends an answer for each, in their order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mic2e_bench.catalog.metrics import perceptual
from mic2e_bench.errors import UsedUp
from mic2e_bench.run import failures, forkserver

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mic2e_bench.tools.budget.budget import Budget

LEAST_S = 2.0  # of a budget: with less no scoring is begun

Work = Callable[[list[Any]], Iterable[Any]]


class Died(Exception):
    """The child ended before its last answer: the status and the reason."""


def answers(
    work: Work, log: Path, jobs: list[Any], stage: str, weights: Path | None = None, budget: Budget | None = None
) -> Iterator[Any]:
    """What ``work(jobs)`` yields in the child, which prints to ``log``: an answer a job.

    ``work`` is a function of a module; ``weights`` are LPIPS's; ``stage`` is what a death is said to have happened in.
    Raises ``UsedUp`` where a ``budget`` ends before the last answer, and ``Died``.
    """
    if not jobs:
        return
    with budget.importing(LEAST_S) if budget else contextlib.nullcontext():
        process, pipe = forkserver.call(_child, log, work, jobs, weights)
    left = len(jobs)
    try:
        while left and (not budget or pipe.poll(budget.left_s)) and (answer := forkserver.receive(pipe)):
            left -= 1
            yield answer
    finally:
        process.kill()
        process.join()
        pipe.close()
    if left and budget and not budget.left_s:
        raise UsedUp
    if left:
        raise Died(": ".join(failures.died(process.exitcode, stage)))


def _child(work: Work, jobs: list[Any], weights: Path | None, pipe: Connection) -> None:
    import torch

    torch.set_num_threads(1)  # the same bits on every machine
    perceptual.choose(weights)
    for answer in work(jobs):
        pipe.send(answer)
