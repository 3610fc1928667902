"""Quantities as people write them, and as they read them."""

import math

import pytest

from mic2e_bench import units
from mic2e_bench.errors import BadInput

GIB = 2**30


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (units.seconds, "4s", 4.0), (units.seconds, "250ms", 0.25), (units.seconds, " 1.5 S ", 1.5),
        (units.seconds, "2min", 120.0), (units.size, "10GB", 10e9), (units.size, "10GiB", 10 * GIB),
        (units.size, "500mb", 500e6), (units.size, "1e3 MiB", 1000 * 2**20), (units.percent, "85%", 85.0),
    ],
)  # fmt: skip
def test_limits_are_read(read, text, value):
    assert read(text, "--x") == pytest.approx(value)


@pytest.mark.parametrize(
    ("read", "text", "words"),
    [
        (units.seconds, "4", "'4' has no unit"), (units.size, "10", "'10' has no unit"),
        (units.percent, "0.85", "has no unit"), (units.seconds, "4sec", "unknown unit 'sec'"),
        (units.size, "10Gb/s", "unknown unit"), (units.size, "tenGB", "is not a size"),
        (units.seconds, "0s", "out of reach"), (units.seconds, "-1s", "out of reach"),
        (units.percent, "101%", "out of reach"), (units.seconds, "1e999s", "is not"), (units.size, "", "is not"),
    ],
)  # fmt: skip
def test_a_limit_that_cannot_be_read_is_answered_with_a_line(read, text, words):
    with pytest.raises(BadInput) as error:
        read(text, "--max")
    assert words in str(error.value) and str(error.value).startswith("--max: ") and "\n" not in str(error.value)


def test_times_of_work_are_read_and_written():
    assert [units.working_time(text, "--budget") for text in ("90s", "10m", "1.5 h")] == [90, 600, 5400]
    assert [units.duration(seconds) for seconds in (39.2, 400, 9000)] == ["40 s", "7 min", "2.5 h"]
    with pytest.raises(BadInput, match=r"^--budget: '5ms': unknown unit 'ms'"):
        units.working_time("5ms", "--budget")


def test_an_assignment_is_a_key_and_a_value_of_yaml():
    assert units.assignment("a.b=[1, x=2]", "--set", "k=v") == ("a.b", [1, "x=2"])
    assert units.assignment("a=", "--set", "k=v") == ("a", None)
    for text, says in (("a", "--set a: write key=value, for example --set k=v."), ("=1", "write key=value"),
                       ("a=[", "--set a=[: '[' is not a YAML value: ")):  # fmt: skip
        with pytest.raises(BadInput) as refused:
            units.assignment(text, "--set", "k=v")
        assert says in str(refused.value)


def test_rounding_is_for_people():
    numbers = (1234.5, 0.012345, 0, math.inf, math.nan, None, 9.9999, 0.0000123)
    assert [units.digits(value) for value in numbers] == [
        "1234", "0.0123", "0", "∞", "–", "–", "10.00", "1.23e-05",
    ]  # fmt: skip
    assert units.scale("latency_s", [0.01]) == (1e3, "ms") and units.scale("x_bytes", [3 * GIB])[1] == "GiB"
    written = [units.write(*given) for given in ((0.05, "s"), (2.0, "s"), (3 * GIB, "B"), (GIB / 4, "B"), (85, "%"))]
    assert written == ["50.0 ms", "2.00 s", "3.00 GiB", "256 MiB", "85.0 %"]


def test_a_limit_is_written_as_it_was_asked():
    given = [
        (96.4516, "%"),
        (4.0, "s"),
        (0.05, "s"),
        (10 * units.GIB, "B"),
        (1.5 * units.MIB, "B"),
        (9.3127 * units.GIB, "B"),
    ]
    written = ["96.4516 %", "4 s", "50 ms", "10 GiB", "1.5 MiB", "9.3127 GiB"]
    assert [units.as_asked(*each) for each in given] == written
