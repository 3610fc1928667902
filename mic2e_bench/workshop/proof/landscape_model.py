"""From a part of a space that was measured to all of it: a model of seconds, bytes and quality, fitted to that part.

Seconds follow the work: reading and painting the picture once, and the denoiser at each step, guided or not, both by
size; every word (a precision, a scheduler) multiplies a step's seconds, and words act in pairs. Bytes and the distance
of the pictures are smooth: a ridge regression of their logarithms on all values and all pairs of values. What the
models miss of the measured part is kept as the noise.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from mic2e_bench.tools.tune.space import GridPoint, Space

NUMBERS = ("steps", "resolution", "batch", "guidance", "guidance_stop")  # what work is counted from
PENALTY = 0.3  # of an effect of words that the records do not ask for
RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


@dataclass(frozen=True)
class Fitted:
    """The parameters of a model, and what it misses at the measured points, as logarithms."""

    parameters: np.ndarray
    residuals: np.ndarray


def fit_seconds(space: Space, measured: Sequence[GridPoint], took_s: Sequence[float]) -> Fitted:
    """The logarithm of a call's seconds, by the work that it is."""
    work = _Work(space)
    mine, target = work.of(measured), np.log(took_s)

    def misses(parameters: np.ndarray) -> np.ndarray:
        effects = parameters[work.sizes * 2 + 2 :]
        return np.concatenate([work.predict(parameters, mine) - target, PENALTY * effects])

    found = least_squares(misses, work.start(), loss="soft_l1", f_scale=0.1).x
    return Fitted(found, work.predict(found, mine) - target)


def seconds(space: Space, parameters: np.ndarray) -> np.ndarray:
    """The logarithms at every point of a space."""
    work = _Work(space)
    return work.predict(parameters, work.of(space.points))


class _Work:
    """The work of points as arrays, and the seconds that parameters make of it."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.resolutions = next(axis.values for axis in space.axes if axis.setting == "resolution")
        self.sizes = len(self.resolutions)
        words = [axis for axis in space.axes if axis.setting not in NUMBERS]
        values = [(axis.setting, value) for axis in words for value in axis.values[1:]]
        self.effects = [*itertools.combinations(values, 1), *itertools.combinations(values, 2)]
        self.effects = [e for e in self.effects if len({name for name, _ in e}) == len(e)]

    def start(self) -> np.ndarray:
        sizes = np.log(np.array(self.resolutions, dtype=float) / self.resolutions[-1])
        return np.concatenate([sizes - 2, sizes - 3, [0.7, 0.7], np.zeros(2 * len(self.effects))])

    def of(self, points: Sequence[GridPoint]) -> tuple[np.ndarray, ...]:
        """Size, images, guided and other steps (shape (n,) each), and which effects act (shape (n, effects))."""
        rows = [{**self.space.baseline, **self.space.settings(point)} for point in points]
        size = np.array([self.resolutions.index(row["resolution"]) for row in rows])
        acts = [[all(row[name] == value for name, value in effect) for effect in self.effects] for row in rows]
        guided = [guided_steps(row) for row in rows]
        return (size, np.array([row["batch"] for row in rows], dtype=float), np.array(guided),
                np.array([row["steps"] for row in rows]) - guided, np.array(acts, dtype=float))  # fmt: skip

    def predict(self, parameters: np.ndarray, work: tuple[np.ndarray, ...]) -> np.ndarray:
        size, batch, guided, other, acts = work
        n, m = self.sizes, len(self.effects)
        once, step = np.exp(parameters[:n]), np.exp(parameters[n : 2 * n])
        by_images, by_batch = parameters[2 * n : 2 * n + 2]
        own, grows = parameters[2 * n + 2 : 2 * n + 2 + m], parameters[2 * n + 2 + m :]
        middle = (n - 1) / 2
        factor = np.exp(acts @ own + (acts @ grows) * (size - middle))
        steps = guided * (2 * batch) ** by_batch + other * batch**by_batch
        return np.log(once[size] * batch**by_images + step[size] * factor * steps)


def guided_steps(settings: Mapping[str, Any]) -> int:
    """The steps in which a UNet pipeline asks with and without the prompt."""
    if settings["guidance"] <= 1:
        return 0
    return math.ceil(settings["steps"] * settings["guidance_stop"] - 1e-9)


def fit_smooth(space: Space, measured: Sequence[GridPoint], logs: Sequence[float]) -> Fitted:
    """A ridge regression on values and their pairs, with the ridge that leaves out one point best."""
    values = np.asarray(logs, dtype=float)
    mean = values.mean()
    mine = _pairs(space, measured)
    gram, best = mine @ mine.T, (np.inf, 0.0)
    for ridge in RIDGES:
        hat = gram @ np.linalg.inv(gram + ridge * np.eye(len(values)))
        left_out = (values - mean - hat @ (values - mean)) / (1 - np.diag(hat))
        best = min(best, (float(np.sqrt(np.mean(left_out**2))), ridge))
    weights = mine.T @ np.linalg.solve(gram + best[1] * np.eye(len(values)), values - mean)
    return Fitted(np.array([mean, *weights]), mine @ weights + mean - values)


def smooth(space: Space, parameters: np.ndarray) -> np.ndarray:
    """The logarithms at every point of a space."""
    return parameters[0] + _pairs(space, space.points) @ parameters[1:]


def _pairs(space: Space, points: Sequence[GridPoint]) -> np.ndarray:
    """Every value of every axis as a column of 0 and 1, and the product of each two of different axes, halved."""
    given, whole = np.array(points), np.array(space.points)
    own = []
    for at in range(given.shape[1]):
        values = np.unique(whole[:, at])[1:]
        if len(values):
            own.append((given[:, at, None] == values).astype(float))
    pairs = [(a[:, :, None] * b[:, None, :]).reshape(len(given), -1) for a, b in itertools.combinations(own, 2)]
    return np.hstack([np.ones((len(given), 1)), *own, *(0.5 * pair for pair in pairs)])
