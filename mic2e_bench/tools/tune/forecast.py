"""What looks at some points say of all others: scikit-learn's Gaussian process for each quantity, fitted to the looks.

Looks of every protocol of the ladder inform it: the protocol is a feature, so that it is learned where a cheap look
differs from a full one, and what is foretold is a full one. The idea is that of multi-fidelity Bayesian optimisation
(Poloczek, Wang and Frazier, NeurIPS 2017).

A point that could not be on the front if its forecast were as good as it may be is not worth its seconds. That is
racing over what was never measured; the idea is that of epsilon-PAL (Zuluaga, Krause and Pueschel, JMLR 2016).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Kernel, WhiteKernel

from mic2e_bench.tools.tune.space import GridPoint, Space

LEAST = 30  # points, before which nothing is foretold
AGAIN = 2.0  # growth of the looks after which the kernel is fitted anew
STEPS = 25  # of the search for a kernel
MODEST = 2.0  # what a process says of its doubt, times this: so far it was wrong, in the mean, on a known landscape
ALIKE = (5.0, 30.0)  # bounds of the length between two rungs: looks at a point under both correlate by 0.98 or more
MOST = 300  # looks that a kernel is fitted to; what is foretold comes from all


class Forecast:
    """``learn`` from looks, then ask for any points' full ones; ``rungs`` are the protocols of the ladder."""

    def __init__(self, space: Space, rungs: int) -> None:
        self.space, self.rungs, self._kernels, self._fitted_at = space, rungs, [], 0
        self._models: list[GaussianProcessRegressor] = []

    def learn(self, points: Sequence[GridPoint], rungs: Sequence[int], costs: np.ndarray) -> None:
        """Each look's point, its rung, and its costs as logarithms, shape (n, k)."""
        features = self._features(points, rungs)
        if len(points) >= AGAIN * self._fitted_at:
            some = np.random.default_rng(0).permutation(len(points))[:MOST]
            start = self._kernel(features.shape[1])
            self._kernels = [self._fit(start, features[some], column[some], _likelier).kernel_
                             for column in costs.T]  # fmt: skip
            self._fitted_at = len(points)
        self._spread = costs.std(axis=0)  # in units of which a model's noise is
        pairs = zip(self._kernels, costs.T, strict=True)
        self._models = [self._fit(kernel, features, column, None) for kernel, column in pairs]

    def _kernel(self, columns: int) -> Kernel:
        """To begin with: a length for each column of the features, the ladder's rungs the last of them."""
        ladder = self.rungs - 1
        lengths, bounds = [1.0] * (columns - ladder) + [2 * ALIKE[0]] * ladder, [(0.2, 30.0)] * (columns - ladder)
        return ConstantKernel(1.0) * RBF(lengths, bounds + [ALIKE] * ladder) + WhiteKernel(0.05, (1e-5, 1))

    def _fit(self, kernel, features: np.ndarray, column: np.ndarray, by: Callable | None) -> GaussianProcessRegressor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=ConvergenceWarning)  # a bound of a length is no fault
            return GaussianProcessRegressor(kernel, normalize_y=True, optimizer=by).fit(features, column)

    def means_and_doubts(self, points: Sequence[GridPoint]) -> tuple[np.ndarray, np.ndarray]:
        """Of each point, shape (n, k) each; the doubt is that of the value, without the noise of a look."""
        features = self._features(points, [self.rungs - 1] * len(points))
        found = [model.predict(features, return_std=True) for model in self._models]
        means, sds = (np.stack(part, axis=1) for part in zip(*found, strict=True))
        noise = np.array([model.kernel_.k2.noise_level for model in self._models]) * self._spread**2
        return means, MODEST * np.sqrt(np.maximum(sds**2 - noise, 0.0))

    def _features(self, points: Sequence[GridPoint], rungs: Sequence[int]) -> np.ndarray:
        """Numbers by their place, 0 to 1; words as a column each but for the first; each rung reached but the first."""
        given, columns = np.array(points), [np.zeros(len(points))]
        for at, axis in enumerate(self.space.axes):
            if axis.is_ordered:
                columns.append(np.maximum(given[:, at], 0) / max(1, len(axis.values) - 1))
            else:
                columns += [(given[:, at] == value).astype(float) for value in range(1, len(axis.values))]
        columns += [(np.array(rungs) >= rung).astype(float) for rung in range(1, self.rungs)]
        return np.stack(columns, axis=1)


def _likelier(objective: Callable, start: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, float]:
    """A kernel's parameters after some steps: the last digits of a likelihood change no forecast."""
    found = minimize(objective, start, method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": STEPS})
    return found.x, found.fun
