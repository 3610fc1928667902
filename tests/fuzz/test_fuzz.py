"""Damaged inputs of every kind, a few of each and always the same: ``make fuzz`` tries as many as there is time for."""

import pytest

pytest.importorskip("hypothesis")
import damage
import judge
import world
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FEW = 20  # of each kind
KINDS = ("params", "prompts", "presets", "records", "pictures", "arguments")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    return folder, damage.cases(world.build(folder))


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_input_is_answered_in_a_line(kind, bench):
    folder, cases = bench

    @settings(max_examples=FEW, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def answered(data):
        case = data.draw(cases[kind])
        assert not judge.judge(case, folder), case

    answered()
