"""A Gaussian process over a table of settings: what a quantity is likely to be where it was not measured yet.

Settings act on a quantity one by one and two by two, seldom all at once. So the covariance of two points is a product
over the axes of ``1 + weight * similarity``: weights near zero give sums of the axes' own effects, larger ones their
interactions. Weights, lengths and noise are those of the greatest posterior density.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

# priors of the logarithms (mean, standard deviation): weight; length, of an axis of length 1; noise, of the variance
WEIGHT, LENGTH, NOISE = (np.log(0.5), 1.5), (np.log(0.7), 0.7), (np.log(1e-3), 2.0)
BOUNDS = ((-7.0, 5.0), (-2.5, 2.5), (-12.0, 0.0))


class Process:
    """Fit by ``fit``, ask by ``predict``. Points are rows of value indices, shape (n, axes).

    ``places`` has an array for each axis: where its values lie on a line from 0 to 1; not a number for a value that is
    like no other.
    """

    def __init__(self, places: Sequence[np.ndarray]) -> None:
        self.places = [np.asarray(axis, dtype=float) for axis in places]
        self.ordered = [index for index, axis in enumerate(self.places) if np.isfinite(axis).sum() > 1]
        d, o = len(self.places), len(self.ordered)
        self.cut = (slice(0, d), slice(d, d + o), d + o)
        prior = [WEIGHT] * d + [LENGTH] * o + [NOISE]
        self.mean, self.deviation = np.array(prior).T
        self.bounds = [BOUNDS[0]] * d + [BOUNDS[1]] * o + [BOUNDS[2]]
        self.theta = self.mean.copy()

    def fit(self, points: np.ndarray, values: np.ndarray) -> Process:
        """Learn from measured ``values`` (shape (n,)) of ``points``; starts from what was learned before."""
        self.points, values = points, np.asarray(values, dtype=float)
        self.centre, self.scale = values.mean(), max(values.std(), 1e-9)
        self.values = (values - self.centre) / self.scale
        found = minimize(
            self._loss, self.theta, jac=True, method="L-BFGS-B", bounds=self.bounds, options={"maxiter": 40}
        )
        self.theta = found.x
        self._solve(self.theta)
        return self

    def predict(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of what a measurement will show, its noise included, shape (m,) each."""
        across, _ = self._covariance(points, self.points, self.theta)
        mean = self.average + across @ self.alpha
        half = solve_triangular(self.root, across.T, lower=True)
        variance = self.variance * (np.clip(1 - (half**2).sum(axis=0), 1e-9, None) + np.exp(self.theta[-1]))
        return self.centre + self.scale * mean, self.scale * np.sqrt(variance)

    def covariance(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """How much two sets of points have to do with each other, 0 to 1, shape (n, m)."""
        return self._covariance(one, other, self.theta)[0]

    def _covariance(self, one: np.ndarray, other: np.ndarray, theta: np.ndarray, gradient: bool = False):
        weights, lengths = np.exp(theta[self.cut[0]]), np.exp(theta[self.cut[1]])
        whole, by_weight, by_length = np.ones((len(one), len(other))), [], []
        for index, places in enumerate(self.places):
            alike, slope = np.eye(len(places)), None
            if index in self.ordered:
                far = np.abs(places[:, None] - places[None, :]) * np.sqrt(5) / lengths[self.ordered.index(index)]
                near = np.exp(-far)
                alike = np.where(np.isnan(far), alike, (1 + far + far**2 / 3) * near)  # Matern 5/2
                slope = np.nan_to_num((far**2 / 3) * (1 + far) * near)  # by the logarithm of the length
            weight = weights[index]
            factor = (1 + weight * alike) / (1 + weight)
            pick = (one[:, index][:, None], other[:, index][None, :])
            whole = whole * factor[pick]
            if gradient:
                by_weight.append(((weight * alike) / (1 + weight * alike) - weight / (1 + weight))[pick])
                if slope is not None:
                    by_length.append((weight * slope / (1 + weight * alike))[pick])
        return whole, [*by_weight, *by_length]

    def _solve(self, theta: np.ndarray) -> None:
        """Everything that a prediction needs."""
        covariance, _ = self._covariance(self.points, self.points, theta)
        n = len(covariance)
        self.root = cholesky(covariance + np.exp(theta[-1]) * np.eye(n), lower=True)
        ones = cho_solve((self.root, True), np.ones(n))
        self.average = ones @ self.values / ones.sum()
        self.alpha = cho_solve((self.root, True), self.values - self.average)
        self.variance = max((self.values - self.average) @ self.alpha / n, 1e-9)

    def _loss(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """The negative logarithm of the posterior density (variance and mean at their best), and its gradient."""
        covariance, slopes = self._covariance(self.points, self.points, theta, gradient=True)
        n, noise = len(covariance), np.exp(theta[-1])
        root = cholesky(covariance + noise * np.eye(n), lower=True)
        inverse = cho_solve((root, True), np.eye(n))
        average = inverse.sum(axis=0) @ self.values / inverse.sum()
        alpha = inverse @ (self.values - average)
        variance = max((self.values - average) @ alpha / n, 1e-12)
        away = (theta - self.mean) / self.deviation
        loss = 0.5 * n * np.log(variance) + np.log(np.diag(root)).sum() + 0.5 * away @ away
        outer = 0.5 * (inverse - np.outer(alpha, alpha) / variance)
        by = [np.sum(outer * covariance * slope) for slope in slopes] + [noise * np.trace(outer)]
        return float(loss), np.array(by) + away / self.deviation
