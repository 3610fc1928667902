"""What a batch costs in pictures: each of its images against the same seed's, made alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mic2e_bench.catalog.metrics.flip import flip
from mic2e_bench.catalog.metrics.similarity import psnr
from mic2e_bench.plan.trial import Trial
from mic2e_bench.tools.throughput.serving import Server


def alone(server: Server, trials: Sequence[Trial], seed: int) -> dict[int, np.ndarray]:
    """The picture of every seed of the largest batch, each made by a call of one; nothing without such a trial."""
    single = next((index for index, trial in enumerate(trials) if trial.settings["batch"] == 1), None)
    if single is None:
        return {}
    server.asked("be", single)
    found = {}
    for each in range(seed, seed + max(trial.settings["batch"] for trial in trials)):
        server.call(each)
        found[each] = server.asked("pictures")[0]
    return found


def price(server: Server, singles: Mapping[int, np.ndarray], seed: int) -> dict[str, Any]:
    """How far the images of one more call of a batch are from those made alone: the worst of them.

    ``identical`` of them have the same pixels; ``largest`` difference of 255, ``psnr_db``, and FLIP (0: the same).
    """
    server.call(seed)
    made = server.asked("pictures")
    pairs = [(image, singles[seed + index]) for index, image in enumerate(made) if seed + index in singles]
    differing = [(image, single) for image, single in pairs if not np.array_equal(image, single)]
    found: dict[str, Any] = {"images": len(pairs), "identical": len(pairs) - len(differing)}
    if differing:
        largest = max(int(np.abs(image.astype(np.int16) - single).max()) for image, single in differing)
        scaled = [(image / np.float32(255), single / np.float32(255)) for image, single in differing]
        found |= {"largest": largest, "psnr_db": min(psnr(image, single) for image, single in scaled)}
        found["flip"] = max(flip(image, single) for image, single in scaled)
    return found
