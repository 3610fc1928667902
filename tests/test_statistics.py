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


def steady(count, level=1.0, noise=0.005, seed=0):
    return list(level * (1 + noise * np.random.default_rng(seed).standard_normal(count)))


def test_the_interval_of_a_median():
    assert statistics.median([3.0, 1.0, 2.0]) == (2, None)
    assert statistics.median([1.0, 2, 3, 4, 5, 6]) == (3.5, [1, 6])
    rng = np.random.default_rng(1)
    inside = [low <= 0 <= high for _, (low, high) in (statistics.median(rng.standard_normal(12)) for _ in range(600))]
    assert 0.94 < np.mean(inside) < 0.99


def test_a_ratio_over_rounds_does_not_take_a_slow_spell_for_noise():
    spell = 1 + (np.arange(12) > 6) * 0.5  # the machine is slower in the second half
    above, below = 1.1 * spell * steady(12, seed=1), spell * np.array(steady(12, seed=2))
    value, (low, high) = statistics.ratio_over_rounds(above, below)
    assert value == pytest.approx(1.1, rel=0.02) and 1.08 < low <= value <= high < 1.12
    _, (apart_low, apart_high) = statistics.ratio_of_medians(above, below)
    assert apart_low < 0.9 and apart_high > 1.3
    assert statistics.ratio_over_rounds([1.0, 2.0], [1.0, 2.0]) == (1, None)


def test_the_interval_covers_the_true_mean_and_shrinks():
    rng = np.random.default_rng(1)
    covered, widths = [], {10: [], 40: []}
    for size in widths:
        for _ in range(100):
            value, (low, high) = statistics.mean(rng.normal(3, 1, size), [str(i) for i in range(size)])
            assert low <= value <= high
            covered.append(low <= 3 <= high)
            widths[size].append(high - low)
    assert 0.86 < np.mean(covered) < 0.99
    assert np.mean(widths[40]) < 0.6 * np.mean(widths[10])


def test_the_interval_resamples_scenes_and_not_their_seeds():
    scenes, values = ["a"] * 20 + ["b"] * 20, [0.0] * 20 + [1.0] * 20
    assert statistics.mean(values, scenes) == (0.5, [0, 1])
    assert statistics.mean(values, scenes) == statistics.mean(values, scenes)
    assert statistics.mean([4.0], ["a"]) == (4, None)
    value, (low, high) = statistics.mean([1.0, 2.0, 3.0], ["a"] * 3)  # one scene: its seeds are all there is
    assert value == 2
    assert low < 2 < high
    assert statistics.ratio([1.0, 3.0], [2.0, 2.0], ["a", "b"])[0] == 1
