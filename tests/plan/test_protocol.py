"""How often a trial is called: what a person may write, when enough is enough, and what is odd about samples."""

import helpers
import numpy as np
import pytest
from helpers import tiny

from mic2e_bench import errors, statistics
from mic2e_bench.plan import protocol
from mic2e_bench.plan.trial import fingerprint, identifying
from mic2e_bench.report import header
from mic2e_bench.run import sampling


def steady(count, level=1.0, noise=0.005, seed=0):
    return list(level * (1 + noise * np.random.default_rng(seed).standard_normal(count)))


def test_what_is_not_written_is_as_it_was():
    assert protocol.resolve({}, "x") == {"warmup": 1, "repeats": 5, "seeds": [42], "timeout_s": 3600, "process": "kept"}
    assert protocol.resolve({"interleave": False, "cost": False}, "x") == protocol.resolve({}, "x")
    content = helpers.study(tiny()).baseline.content  # so that the records of before are found again
    assert content["protocol"] == {"warmup": 0, "repeats": 1, "seeds": [42], "timeout_s": 3600}
    assert identifying(content)["protocol"] == {"warmup": 0, "repeats": 1, "seeds": [42]}
    plain, costly = (helpers.study(tiny(protocol=more)).baseline for more in ({}, {"cost": True}))
    assert plain.id == fingerprint(identifying(plain.content)) != costly.id


def test_rules_are_completed():
    found = protocol.resolve({"warmup": "steady", "repeats": {"until": 0.05}, "interleave": True}, "x")
    assert found["repeats"] == {"until": 0.05, "min": 5, "max": 50, "budget_s": 60}
    assert found["warmup"] == "steady" and found["interleave"] is True
    assert protocol.most_calls(found) == 70 and protocol.most_calls(protocol.resolve({}, "x")) == 6
    assert header.words(protocol.resolve({}, "x")) == "1 warm-up call, 5 timed"
    alone = header.words(protocol.resolve({"process": "per_call"}, "x"))
    assert alone == "1 warm-up call, 5 timed, each in a process of its own"
    assert "within 5 %, 5 to 50 calls, or 60 s are spent, the trials interleaved" in header.words(found)


@pytest.mark.parametrize(
    "given, message",
    [
        ([], "protocol: write a mapping of warmup, repeats"),
        ({"repeat": 3}, "unknown key 'repeat'. Did you mean 'repeats'?"),
        ({"warmup": "stedy"}, "'stedy' is not a whole number from 0 or 'steady'. Did you mean 'steady'?"),
        ({"repeats": 0}, "repeats: 0 is not a whole number from 1 or a mapping of until, min, max, budget_s."),
        ({"repeats": {"untill": 1}}, "unknown key 'untill'. Did you mean 'until'?"),
        ({"repeats": {"until": 2}}, "until: 2 is not a share of the median between 0 and 1, such as 0.02."),
        ({"repeats": {"min": 9, "max": 8}}, "repeats.max: 8 is not a whole number from 9."),
        ({"repeats": {"budget_s": "60s"}}, "repeats.budget_s: '60s' is not a whole number from 1."),
        ({"process": "percall"}, "protocol: process: 'percall' is not one of kept, per_call. Did you mean 'per_call'?"),
        ({"interleave": "yes"}, "interleave: 'yes' is not true or false."),
        ({"interleave": True, "warmup": 0}, "interleave: a round has no first calls in it: give warmup from 1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(given, message):
    with pytest.raises(errors.BadInput) as error:
        protocol.resolve(given, "x.yaml")
    assert message in str(error.value) and str(error.value).startswith("x.yaml: protocol")
    assert "\n" not in str(error.value)


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
