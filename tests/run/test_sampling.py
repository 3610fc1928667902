"""When enough is enough, and what is odd about samples."""

import numpy as np
import pytest

from mic2e_bench.run import sampling


def steady(count, level=1.0, noise=0.005, seed=0):
    return list(level * (1 + noise * np.random.default_rng(seed).standard_normal(count)))


def test_a_warm_up_ends_when_it_is_steady():
    assert sampling.warm(2, [1.0]) == "" and sampling.warm(2, [9.0, 1.0]) == "count" and sampling.warm(0, []) == "count"
    falling = [9.0, 3.0, 1.5, 1.0, 1.01]
    assert [sampling.warm("steady", falling[:count]) for count in range(6)] == [""] * 6
    assert sampling.warm("steady", [*falling, 0.99]) == "steady"
    assert sampling.warm("steady", [1.0, 2.0] * 10) == "cap"


def test_repeats_end_when_the_median_is_known_or_the_budget_is_spent():
    rule = {"until": 0.02, "min": 5, "max": 20, "budget_s": 30}
    assert sampling.enough(5, [1.0] * 4) == "" and sampling.enough(5, [1.0] * 5) == "count"
    assert sampling.enough(rule, [1.0] * 4) == ""
    assert sampling.enough(rule, [1.0] * 5) == ""  # five samples have no 95 % interval of the median
    assert sampling.enough(rule, steady(8)) == "interval"
    wide = steady(20, noise=0.3)
    assert sampling.enough(rule, wide[:19]) == "" and sampling.enough(rule, wide) == "max"
    assert sampling.enough(rule, [9.0, 20.0, 3.0, 8.0]) == ""  # the budget never cuts below the least number
    assert sampling.enough(rule, [9.0, 20.0, 3.0, 8.0, 2.0]) == "budget"
    # together: until all are known, and each has its own budget
    assert sampling.enough(rule, steady(8), wide[:8]) == ""
    assert sampling.enough(rule, steady(8), steady(8, 3)) == "interval"


def test_outliers_are_flagged_and_kept():
    samples = [*steady(9), 1.6]
    assert sampling.outliers(samples) == [9] and len(samples) == 10
    assert sampling.outliers([1.0, 1.0, 1.0, 1.0, 1.01]) == []  # far in interquartile ranges, near in seconds
    assert sampling.outliers([1.0, 9.0]) == []
    assert sampling.judge({"latency_s": samples})["outliers"] == [9]


def test_a_wide_spread_and_a_drift_are_warned_of():
    assert sampling.judge({"latency_s": steady(12)}) == {"outliers": [], "warnings": []}
    (warning,) = sampling.judge({"latency_s": [1.0, 1.3, 1.0, 1.3, 1.0, 1.3]})["warnings"]
    assert warning == "spread: half the distance between the quartiles is 13% of the median"
    rising = [value * (1 + 0.01 * index) for index, value in enumerate(steady(12))]
    assert sampling.judge({"latency_s": rising})["warnings"] == ["drift: the calls got slower by 10%"]
    assert sampling.drift(rising[::-1]) == pytest.approx(-0.1, abs=0.02)
    assert sampling.drift(steady(12)) is None and sampling.drift([1.0, 2.0, 3.0]) is None
    ended = {"warmup": "cap", "repeats": "budget"}
    assert sampling.judge({"latency_s": steady(12), "ended_by": ended})["warnings"] == [
        "not steady after 20 warm-up calls",
        "the interval of the median is wider than asked: the budget ended it",
    ]
