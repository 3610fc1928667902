"""Losses that the benchmarks build into a worker on purpose. For ``gate.py`` and tests only: no command has it.

``with injected(slower(0.1)): api.run(...)`` measures as if every call of the pipeline took 10 % longer: the worker's
process wraps the pipeline's call before it loads anything, so the loss is inside the timed region like any real one.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mic2e_bench.catalog import registry
from mic2e_bench.plan.trial import Trial
from mic2e_bench.run import child, forkserver, worker

Call = Callable[..., list[Any]]
Fault = Callable[[Call], Call]  # from a pipeline's call to one with the loss; must be picklable


@contextlib.contextmanager
def injected(fault: Fault | None) -> Iterator[None]:
    """Workers that are started in the block have the fault; with ``None`` they have none."""
    honest = child.start

    def start(trials: list[Trial], images: Path, log: Path) -> tuple[Any, Connection]:
        return forkserver.call(_worker, log, fault, trials, images) if fault else honest(trials, images, log)

    child.start = start
    try:
        yield
    finally:
        child.start = honest


def slower(share: float) -> Fault:
    """Every call sleeps for this share of its own time before it returns."""
    return functools.partial(_slower, share)


def noisier(deviation: float, seed: int = 0) -> Fault:
    """Every picture gets Gaussian noise of this standard deviation (of 255 levels)."""
    return functools.partial(_noisier, deviation, seed)


def _slower(share: float, call: Call) -> Call:
    def slowed(*given: Any) -> list[Any]:
        start = time.perf_counter()
        made = call(*given)
        time.sleep(share * (time.perf_counter() - start))
        return made

    return slowed


def _noisier(deviation: float, seed: int, call: Call) -> Call:
    def worse(*given: Any) -> list[Any]:
        import numpy as np
        from PIL import Image

        drawn = np.random.default_rng(seed)
        pictures = [np.asarray(picture, dtype=np.float64) for picture in call(*given)]
        spoilt = [picture + drawn.normal(0, deviation, picture.shape) for picture in pictures]
        return [Image.fromarray(picture.clip(0, 255).astype(np.uint8)) for picture in spoilt]

    return worse


def _worker(fault: Fault, trials: list[Trial], images: Path, pipe: Connection) -> None:
    """The worker's process: ``fault`` is put in before the worker starts."""
    pipeline = registry.pipeline(trials[0].pipeline)
    known = {**registry.pipelines(), pipeline.name: replace(pipeline, call=fault(pipeline.call))}
    registry.pipelines = lambda: known
    worker.main(trials, images, pipe)
