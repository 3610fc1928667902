"""One record against another: how much faster, and after how many images a longer start has paid off."""

import numpy as np
import pytest
from helpers import made_up

from mic2e_bench.records import ratios


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
    found = ratios.images_to_pay_off(line(start, each), line(other_start, other_each))
    assert found == (None if counted == 10_000 else counted)


def test_a_batch_makes_several_images_of_a_call():
    # a call of four images in 4 s after a start of 20 s, against one image a call in 2 s after 10 s
    assert ratios.images_to_pay_off(line(20, 4, batch=4), line(10, 2)) == 8
    assert ratios.images_to_pay_off(made_up({"latency_s": [], "load_s": 1}), line(1, 1)) is None
    assert ratios.images_to_pay_off(made_up({"latency_s": [2.0], "load_s": 1}), line(1, 1)) is None


def test_a_first_call_that_makes_up_for_a_slower_start_leaves_nothing_to_pay_off():
    # one second later, but with four images instead of one that take two seconds each
    assert ratios.images_to_pay_off(line(21, 4, batch=4), line(20, 2)) == 0


def test_a_speed_up_is_of_seconds_an_image():
    slow, fast = made_up({"latency_s": [4.0] * 3}), made_up({"latency_s": [4.0] * 3}, {"batch": 4})
    assert ratios.speedup(slow, fast) == (4.0, [4.0, 4.0], "", False)
    assert ratios.speedup(slow, made_up({"latency_s": []})) == (None, None, "no timed calls", False)
    rounds = [made_up({"latency_s": each, "rounds": "r"}) for each in ([2.0, 4.0, 8.0], [1.0, 2.0, 4.0])]
    assert ratios.speedup(*rounds) == (2.0, [2.0, 2.0], "", True)
