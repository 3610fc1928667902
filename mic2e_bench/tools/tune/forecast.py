"""What looks at some points say of all others: scikit-learn's Gaussian process for each quantity, fitted to the looks.

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
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from mic2e_bench.tools.tune.space import GridPoint, Space

LEAST = 30  # points, before which nothing is foretold
AGAIN = 2.0  # growth of the looks after which the kernel is fitted anew
STEPS = 25  # of the search for a kernel
MODEST = 2.0  # what a process says of its doubt, times this: so far it was wrong, in the mean, on a known landscape
MOST = 100  # points that a kernel is fitted to; what is foretold comes from all


class Forecast:
    """``learn`` from points and their logarithms of costs, shape (n, k); then ask for those of any points."""

    def __init__(self, space: Space) -> None:
        self.space, self._kernels, self._fitted_at = space, [], 0
        self._models: list[GaussianProcessRegressor] = []

    def learn(self, points: Sequence[GridPoint], costs: np.ndarray) -> None:
        features = self._features(points)
        if len(points) >= AGAIN * self._fitted_at:
            some = np.random.default_rng(0).permutation(len(points))[:MOST]
            start = ConstantKernel(1.0) * RBF(np.ones(features.shape[1]), (0.2, 30)) + WhiteKernel(0.05, (1e-5, 1))
            self._kernels = [self._fit(start, features[some], column[some], _likelier).kernel_
                             for column in costs.T]  # fmt: skip
            self._fitted_at = len(points)
        self._spread = costs.std(axis=0)  # in units of which a model's noise is
        pairs = zip(self._kernels, costs.T, strict=True)
        self._models = [self._fit(kernel, features, column, None) for kernel, column in pairs]

    def _fit(self, kernel, features: np.ndarray, column: np.ndarray, by: Callable | None) -> GaussianProcessRegressor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=ConvergenceWarning)  # a bound of a length is no fault
            return GaussianProcessRegressor(kernel, normalize_y=True, optimizer=by).fit(features, column)

    def means_and_doubts(self, points: Sequence[GridPoint]) -> tuple[np.ndarray, np.ndarray]:
        """Of each point, shape (n, k) each; the doubt is that of the value, without the noise of a look."""
        features = self._features(points)
        found = [model.predict(features, return_std=True) for model in self._models]
        means, sds = (np.stack(part, axis=1) for part in zip(*found, strict=True))
        noise = np.array([model.kernel_.k2.noise_level for model in self._models]) * self._spread**2
        return means, MODEST * np.sqrt(np.maximum(sds**2 - noise, 0.0))

    def _features(self, points: Sequence[GridPoint]) -> np.ndarray:
        """Numbers by their place, 0 to 1; words as a column each but for the first."""
        given, columns = np.array(points), [np.zeros(len(points))]
        for at, axis in enumerate(self.space.axes):
            if axis.is_ordered:
                columns.append(np.maximum(given[:, at], 0) / max(1, len(axis.values) - 1))
            else:
                columns += [(given[:, at] == value).astype(float) for value in range(1, len(axis.values))]
        return np.stack(columns, axis=1)


def _likelier(objective: Callable, start: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, float]:
    """A kernel's parameters after some steps: the last digits of a likelihood change no forecast."""
    found = minimize(objective, start, method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": STEPS})
    return found.x, found.fun
