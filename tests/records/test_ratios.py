"""One record against another: how much faster, and after how many images a longer start has paid off."""

import numpy as np
import pytest
from helpers import made_up

from mic2e_bench.catalog.metrics import paying_off
from mic2e_bench.records import ratios

BUILDS = [build for build in range(8) for _ in range(2)]
NOISE = [0.97, 1.02, 1.01, 0.96, 1.03, 1.0, 0.99, 1.04, 1.02, 0.98, 1.0, 1.01, 0.97, 1.03, 0.99, 1.01]


def line(start, each, batch=1):
    return made_up({"load_s": start / 2, "first_call_s": start / 2, "latency_s": [each] * 3}, {"batch": batch})


@pytest.mark.parametrize("seed", range(20))
def test_images_to_pay_off_are_those_of_counting(seed):
    rng = np.random.default_rng(seed)
    (start, each), (other_start, other_each) = rng.uniform(1, 9, 2), rng.uniform(1, 9, 2)
    done, other_done = start, other_start  # the first image is there
    counted = 0 if done <= other_done else 1
    while counted and done > other_done and counted < 10_000:
        done, other_done, counted = done + each, other_done + other_each, counted + 1
    found = paying_off.images_to_pay_off(line(start, each), line(other_start, other_each))
    assert found == (None if counted == 10_000 else counted)


def test_a_batch_makes_several_images_of_a_call():
    # a call of four images in 4 s after a start of 20 s, against one image a call in 2 s after 10 s
    assert paying_off.images_to_pay_off(line(20, 4, batch=4), line(10, 2)) == 8
    assert paying_off.images_to_pay_off(made_up({"latency_s": [], "load_s": 1}), line(1, 1)) is None
    assert paying_off.images_to_pay_off(made_up({"latency_s": [2.0], "load_s": 1}), line(1, 1)) is None


def test_a_first_call_that_makes_up_for_a_slower_start_leaves_nothing_to_pay_off():
    # one second later, but with four images instead of one that take two seconds each
    assert paying_off.images_to_pay_off(line(21, 4, batch=4), line(20, 2)) == 0


def test_a_speed_up_is_of_seconds_an_image():
    slow, fast = made_up({"latency_s": [4.0] * 3}), made_up({"latency_s": [4.0] * 3}, {"batch": 4})
    assert ratios.speedup(slow, fast) == (4.0, None, "not interleaved", False)
    assert ratios.speedup(slow, made_up({"latency_s": []})) == (None, None, "no timed calls", False)
    rounds = [made_up({"latency_s": each, "rounds": "r"}) for each in ([2.0, 4.0, 8.0], [1.0, 2.0, 4.0])]
    assert ratios.speedup(*rounds) == (2.0, None, "one build", True)
    turns = of_rounds(NOISE, placebo_s=NOISE), of_rounds(NOISE, settings={"batch": 4})
    assert ratios.speedup(*turns)[:2] == (pytest.approx(4.0), pytest.approx([4.0, 4.0]))


def of_rounds(latency_s, settings=None, environment=None, **timing):
    """A record of sixteen rounds over eight builds."""
    given = {"latency_s": latency_s, "rounds": "r", "builds": BUILDS, **timing}
    return made_up(given, settings, environment=environment or {})


def test_rounds_that_move_as_a_whole_are_no_noise_and_the_baseline_against_itself_widens():
    drift = np.exp(np.linspace(0, 2, 16)) * NOISE
    one = of_rounds(list(drift / 1.25))
    sure = ratios.speedup(of_rounds(list(drift), placebo_s=list(drift)), one)
    assert sure.ratio == pytest.approx(1.25) and sure.interval == pytest.approx([1.25, 1.25]) and sure.is_clear
    # of what is 30 % off itself nothing can be said to be 25 % faster, to whichever side it is off
    for off in (1.3, 1 / 1.3):
        unsure = ratios.speedup(of_rounds(list(drift), placebo_s=list(drift * off)), one)
        assert unsure.ratio == pytest.approx(1.25) and not unsure.is_clear
        assert unsure.interval == pytest.approx([1.25 / 1.3, 1.25 * 1.3])


def test_a_product_of_speed_ups_is_widened_for_each_of_them():
    base, one, both = of_rounds([2.0] * 16, placebo_s=[2.2] * 16), of_rounds([1.0] * 16), of_rounds([0.4] * 16)
    found = ratios.of_products([one, one], [both, base], base)
    assert found.ratio == pytest.approx(1.25) and found.interval == pytest.approx([1.25 / 1.21, 1.25 * 1.21])
    assert ratios.speedup(one, both).why == "no placebo"  # it is the study's baseline that has it
    assert ratios.speedup(one, both, base).interval == pytest.approx([2.5 / 1.1, 2.5 * 1.1])


def test_a_build_counts_once_however_many_rounds_it_has():
    builds, one = [0] * 11 + [1, 2, 3, 4, 5], [1.0] * 11 + [2.0] * 5
    base = made_up({"latency_s": [2.0] * 16, "placebo_s": [2.0] * 16, "rounds": "r", "builds": builds})
    found = ratios.speedup(base, made_up({"latency_s": one, "rounds": "r", "builds": builds}))
    assert found.ratio == pytest.approx(1.0) and found.interval == pytest.approx([1.0, 2.0]) and not found.is_clear


@pytest.mark.parametrize(
    "baseline, one, why",
    [
        ({"rounds": None}, {}, "not interleaved"),
        ({"rounds": "another"}, {}, ratios.OTHER_ROUNDS),
        ({}, {"builds": BUILDS[::-1]}, ratios.OTHER_ROUNDS),  # a damaged record
        ({"builds": [0] * 16}, {"builds": [0] * 16}, "one build"),
        ({"builds": [0] * 3}, {"builds": [0] * 3}, "one build"),  # a damaged record
        ({"builds": [0, 1, 2, 3, 4] * 3 + [0]}, {"builds": [0, 1, 2, 3, 4] * 3 + [0]}, "5 builds, fewer than 6"),
        ({"placebo_s": []}, {}, "no placebo"),
        ({"placebo_s": [], "placebo_failed": "oom: none left"}, {}, "no placebo (oom: none left)"),
        ({"placebo_s": NOISE[1:]}, {}, "no placebo"),
        ({"warnings": ["drift: the calls got slower by 9%"]}, {}, "drifting"),
        ({}, {"warnings": ["drift: the calls got faster by 9%"]}, "drifting"),
        ({"environment": {"disturbed": ["others"]}}, {}, "disturbed"),
        ({}, {"environment": {"disturbed": ["others"]}}, "disturbed"),
        ({"warnings": ["spread: wide"]}, {"warnings": ["spread: wide"]}, ""),
    ],
)
def test_there_is_no_interval_where_measuring_again_could_give_another(baseline, one, why):
    twice = [2 * value for value in NOISE]
    found = ratios.speedup(of_rounds(twice, **{"placebo_s": twice, **baseline}), of_rounds(NOISE, **one))
    assert found.ratio == pytest.approx(2.0)
    assert (found.why, found.interval is None, found.is_clear) == (why, bool(why), not why)
