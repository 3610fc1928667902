"""How often a trial is called: what a person may write, and what it means."""

import helpers
import pytest
from helpers import tiny

from mic2e_bench import errors
from mic2e_bench.plan import protocol
from mic2e_bench.plan.trial import fingerprint, identifying
from mic2e_bench.report import header


def test_what_is_not_written_is_as_it_was():
    assert protocol.resolve({}, "x") == {"warmup": 1, "repeats": 5, "seeds": [42], "timeout_s": 3600, "process": "kept"}
    assert protocol.resolve({"interleave": False, "cost": False}, "x") == protocol.resolve({}, "x")
    content = helpers.study(tiny()).baseline.content  # so that the records of before are found again
    assert content["protocol"] == {"warmup": 0, "repeats": 1, "seeds": [42], "timeout_s": 3600}
    assert identifying(content)["protocol"] == {"warmup": 0, "repeats": 1, "seeds": [42]}
    assert protocol.resolve({"builds": 1}, "x") == protocol.resolve({}, "x")
    several = protocol.resolve({"repeats": 8, "interleave": True, "builds": 8}, "x")
    assert several["builds"] == 8 and header.words(several).endswith(
        "the trials interleaved call by call, over 8 builds"
    )
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
        ({"warmup": "stedy"}, "'stedy' is not a whole number from 0 to 1000 or 'steady'. Did you mean 'steady'?"),
        (
            {"repeats": 0},
            "repeats: 0 is not a whole number from 1 to 1000000 or a mapping of until, min, max, budget_s.",
        ),
        ({"repeats": {"untill": 1}}, "unknown key 'untill'. Did you mean 'until'?"),
        ({"repeats": {"until": 2}}, "until: 2 is not a share of the median between 0 and 1, such as 0.02."),
        ({"repeats": {"min": 9, "max": 8}}, "repeats.max: 8 is not a whole number from 9 to 1000000."),
        ({"repeats": {"budget_s": "60s"}}, "repeats.budget_s: '60s' is not a whole number from 1 to 2000000."),
        ({"process": "percall"}, "protocol: process: 'percall' is not one of kept, per_call. Did you mean 'per_call'?"),
        ({"interleave": "y"}, "interleave: 'y' is not true or false."),
        ({"interleave": True, "warmup": 0}, "interleave: a round has no first calls in it: give warmup from 1"),
        ({"builds": 0}, "builds: 0 is not a whole number from 1 to 1000."),
        ({"builds": 2}, "builds: rounds are spread over builds: give 'interleave: true' and 'process: kept'."),
        ({"builds": 2, "interleave": True, "process": "per_call"}, "give 'interleave: true' and 'process: kept'."),
        (
            {"builds": 6, "interleave": True},
            "6 builds need as many rounds: give repeats as a whole number from 6",
        ),
        (
            {"builds": 6, "interleave": True, "repeats": {"until": 0.1}},
            "give repeats as a whole number from 6, not {",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(given, message):
    with pytest.raises(errors.BadInput) as error:
        protocol.resolve(given, "x.yaml")
    assert message in str(error.value) and str(error.value).startswith("x.yaml: protocol")
    assert "\n" not in str(error.value)
