"""Intervals by scipy's bootstrap: which samples are drawn together, and that two readers get the same digits."""

import numpy as np
import pytest

from mic2e_bench import statistics
from mic2e_bench.run import sampling


def test_samples_of_one_round_or_scene_are_drawn_together():
    below = np.random.default_rng(0).uniform(1, 9, 12)
    names = [f"scene {number}" for number in range(12)]
    assert statistics.ratio(2 * below, below, names)[1] == pytest.approx([2, 2])
    assert statistics.ratio_over_rounds(2 * below, below) == (2, pytest.approx([2, 2]))
    low, high = statistics.ratio_of_medians(2 * below, below)[1]
    assert low < 1.8 and high > 2.2  # independent samples are not


def test_the_ends_are_percentiles_of_draws_from_a_fixed_seed():
    values = np.random.default_rng(1).normal(3, 1, 8)
    places = np.random.default_rng(statistics.SEED).integers(8, size=(statistics.RESAMPLES, 8))
    by_hand = np.quantile(values[places].mean(axis=1), (0.025, 0.975))
    for _ in range(2):
        assert statistics.mean(values, list("abcdefgh"))[1] == pytest.approx(by_hand)


def test_a_ratio_of_ratios_needs_three_samples_of_each():
    four = [[3.0, 3.1, 2.9], [1.0, 1.01, 0.99], [2.0, 2.1, 1.9], [1.0, 1.02, 0.98]]
    value, (low, high) = statistics.ratio_of_ratios(*four)
    assert value == pytest.approx(1.5) and low < 1.5 < high
    assert statistics.ratio_of_ratios(*four[:3], [1.0, 1.0]) == (pytest.approx(1.5), None)


def test_equal_samples_drift_nowhere_and_do_not_warn():
    assert sampling.drift([1.0] * 9) is None
    assert sampling.drift([1.0, 1.1, 1.2, 1.3, 1.4]) == pytest.approx(0.4 / 1.2)
    assert sampling.drift([1.0, 1.1, 1.2, 1.3]) is None  # fewer than five
