"""Intervals that cover what they say or are not given; what repeated looks may do; when enough calls were timed."""

import math

import numpy as np
import pytest
from scipy import stats

from mic2e_bench import statistics
from mic2e_bench.run import sampling
from mic2e_bench.workshop.proof import coverage


def test_the_signed_rank_tail_is_that_of_the_tables():
    # critical values of the one-sided 2.5 % signed-rank test, as printed in textbooks, plus one
    assert [statistics.signed_rank_tail(n) for n in (5, 6, 7, 8, 9, 10, 12, 20)] == [0, 1, 3, 4, 6, 9, 14, 53]


@pytest.mark.parametrize(("count", "exact"), [(6, 0.969), (8, 0.961), (10, 0.951)])
def test_the_interval_of_paired_differences_covers_exactly(count, exact):
    # every pattern of signs of magnitudes whose pairs' means are all unlike, each as probable as any other
    sizes = np.array([1.0, 2.03, 3.1, 4.6, 5.91, 7.7, 9.13, 11.9, 14.7, 18.3])[:count]
    signs = (np.arange(2**count)[:, None] >> np.arange(count)) % 2 * 2 - 1
    ends = [statistics.paired(sizes * row)[1] for row in signs]
    assert np.mean([low <= 0 <= high for low, high in ends]) == pytest.approx(exact, abs=5e-4)


def test_the_interval_is_the_one_that_scipys_test_does_not_reject():
    values = np.random.default_rng(0).normal(1, 1, 9)
    _, (low, high) = statistics.paired(values)
    rejected = [stats.wilcoxon(values - at).pvalue <= 0.05 for at in (low - 1e-9, low + 1e-9, high - 1e-9, high + 1e-9)]
    assert rejected == [True, False, False, True]


def test_one_bad_round_does_not_move_the_centre_and_five_have_no_interval():
    value, ends = statistics.paired([0.1] * 7 + [2.0])
    assert value == pytest.approx(0.1) and ends[0] == pytest.approx(0.1)
    assert statistics.paired([1.0, 2.0, 3.0, 4.0, 5.0]) == (3.0, None)
    assert statistics.paired([1.5]) == (1.5, None)


@pytest.mark.parametrize("name", coverage.CASES)
def test_every_interval_covers_or_is_not_given(name):
    for of, noise in coverage.NOISES.items():
        for count in coverage.SIZES:
            share = coverage.covered(coverage.CASES[name], noise, count, 120)
            assert count > 5 or share is None  # two to five of anything have no interval
            assert (name, of) in coverage.STOPS or share is None or share >= coverage.LIMIT, (of, count, share)


def test_a_mean_has_an_interval_from_a_hundred_scenes_on_and_seeds_are_no_scenes():
    draw = np.random.default_rng(1)
    values, one_scene = draw.normal(3, 1, 200), ["a"] * 200
    assert statistics.mean(values, one_scene) == (pytest.approx(values.mean()), None)
    assert statistics.mean(values[:99], [str(i) for i in range(99)])[1] is None
    _, by_seed = statistics.mean(np.repeat(values[:100], 2), [str(i // 2) for i in range(200)])
    expected = stats.ttest_1samp(values[:100], 0).confidence_interval()
    assert by_seed == pytest.approx(list(expected))
    names = [str(i) for i in range(200)]
    assert statistics.ratio(2 * values, values, names) == (pytest.approx(2), pytest.approx([2, 2]))


def test_looking_again_and_again_errs_in_two_and_a_half_percent_and_a_single_look_each_time_does_not():
    assert coverage.called_worse(20_000, statistics.end_at) <= coverage.LOOKS_LIMIT
    assert coverage.called_worse(5_000, lambda rounds: statistics.END) > 0.1


def test_the_interval_of_rounds_is_that_of_the_looks_that_they_make_possible():
    logs = np.random.default_rng(4).normal(0.1, 0.05, 60)
    base, head = np.ones((60, 1)), np.exp(logs)[:, None]
    for rounds in (6, 8, 20, 48):
        value, ends, remark = statistics.change(base[:rounds], head[:rounds])
        centre, expected = statistics.paired(logs[:rounds], statistics.end_at(rounds))
        assert (math.log(value), list(np.log(ends)), remark) == (pytest.approx(centre), pytest.approx(expected), "")
    assert statistics.change(base, head) == statistics.change(base[:48], head[:48])


def test_few_rounds_have_no_interval_and_say_so():
    for rounds in (1, 3, 5):
        value, ends, remark = statistics.change([[1, 1.01, 0.99]] * rounds, [[1.1] * 3] * rounds)
        assert (value, ends) == (pytest.approx(1.1), None) and "fewer than 6: too few to say" in remark
    apart = statistics.change([[1.0] * 3] * 6, [[1.0] * 3] * 6, taking_turns=False)
    assert apart[:2] == (1, None) and "did not take turns" in apart[2]


def test_a_value_that_repeats_with_a_known_noise_needs_no_rounds_and_claims_no_95_percent():
    _, ends, remark = statistics.change([[100]], [[101]], noise=0.02)
    assert ends == pytest.approx([0.9898, 1.0302]) and "no 95 % interval" in remark
    assert statistics.change([[100]], [[101]], noise=0.0)[1:] == (pytest.approx([1.01, 1.01]), "")


def test_a_change_against_ones_own_baseline_is_of_each_round():
    drift = np.array([1.0, 1.5, 0.7, 2.0, 1.2, 0.9])[:, None]
    shares = [statistics.to_own(level * drift, drift) for level in (2.0, 3.0)]
    assert statistics.change(*shares) == (pytest.approx(1.5), pytest.approx([1.5, 1.5]), "")


def test_builds_count_once_each_by_the_median_of_their_rounds():
    builds = np.repeat(range(6), 3)
    above = np.exp(builds / 100) * np.tile([0.5, 1.0, 9.0], 6)
    value, ends = statistics.over_builds([above], [np.ones(18)], builds)
    assert value == pytest.approx(0.025) and ends == pytest.approx([0.0, 0.05])
    assert statistics.over_builds([above[:15]], [np.ones(15)], builds[:15])[1] is None


def test_a_difference_over_few_scenes_is_said_of_these_alone():
    assert statistics.difference([1.0, 1.0], [2.0, 4.0], ["a", "a"]) == (
        2,
        None,
        "of one scene, fewer than 6: said of these alone",
    )
    value, ends, remark = statistics.difference([0.0] * 12, [1.0, 3.0] * 6, [str(i // 2) for i in range(12)])
    assert (value, ends, remark) == (2, [2, 2], "")


def test_equal_samples_drift_nowhere_and_do_not_warn():
    assert sampling.drift([1.0] * 9) is None
    assert sampling.drift([1.0, 1.1, 1.2, 1.3, 1.4]) == pytest.approx(0.4 / 1.2)
    assert sampling.drift([1.0, 1.1, 1.2, 1.3]) is None  # fewer than five


def test_the_interval_of_a_median():
    assert statistics.median([3.0, 1.0, 2.0]) == (2, None)
    assert statistics.median([1.0, 2, 3, 4, 5, 6]) == (3.5, [1, 6])
    rng = np.random.default_rng(1)
    inside = [low <= 0 <= high for _, (low, high) in (statistics.median(rng.standard_normal(12)) for _ in range(600))]
    assert 0.94 < np.mean(inside) < 0.99
