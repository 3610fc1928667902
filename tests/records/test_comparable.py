"""What may be compared with what: one meaning of each word, whoever asks."""

import math

import pytest
from helpers import made_up

from mic2e_bench.errors import BadInput
from mic2e_bench.records import comparable
from mic2e_bench.records.comparable import RSS, VRAM

QUIET = {"host": "a", "device": "b", "driver": None, "python": "3.11", "packages": {"torch": "2.9"}}


def scored(against, **more):
    entries = {str(number): {"against": id} for number, id in enumerate(against)}
    return made_up({"latency_s": [1.0]}, quality=entries, **more)


@pytest.mark.parametrize("status, measured", [("ok", True), ("not_applied", True), ("invalid", False), ("oom", False)])
def test_measured_is_what_ran_to_its_end(status, measured):
    assert comparable.is_measured(made_up({}, status=status)) is measured


def test_unapplied_are_the_receipts_that_say_so():
    receipts = {"attention": {"asked": "xformers", "applied": False}, "steps": {"asked": 4, "applied": True}}
    assert comparable.unapplied(made_up({}, receipts=receipts)) == {"attention": receipts["attention"]}


@pytest.mark.parametrize("here, said", [({}, []), ({"disturbed": None}, []), ({"disturbed": ["heat"]}, ["heat"])])
def test_disturbed_by_what_the_record_says(here, said):
    assert list(comparable.disturbed(made_up({}, environment=here))) == said


@pytest.mark.parametrize(
    "vram, column", [([None, math.nan], RSS), ([], RSS), ([None, 5], VRAM), ([0], VRAM), ([math.nan, 1.5], VRAM)]
)
def test_the_memory_is_that_of_the_gpu_where_any_value_of_it_is_there(vram, column):
    """No bytes at all are a measurement, not a sign that there is no GPU."""
    assert comparable.memory_column(vram) == column


def test_the_memory_of_one_record():
    assert comparable.memory_of(made_up({}, memory={RSS: 7})) == RSS
    assert comparable.memory_of(made_up({}, memory={RSS: 7, VRAM: 0})) == VRAM


@pytest.mark.parametrize(
    "against, label, baseline",
    [
        ([], "baseline", True), ([], "other", False), (["truth"], "baseline", True),
        (["0" * 16, "truth"], "other", True), (["1" * 16], "baseline", False),
    ],
)  # fmt: skip
def test_the_baseline_is_known_by_its_scores_else_by_its_label(against, label, baseline):
    assert comparable.is_baseline(scored(against, label=label)) is baseline


def test_unusable_says_why():
    assert comparable.unusable(made_up({"latency_s": [1.0]})) == ""
    assert comparable.unusable(made_up({"latency_s": []})) == "no latency was measured"
    assert comparable.unusable(made_up({}, status="oom", reason="no memory")) == "oom: no memory"


def test_one_environment_is_required_of_what_was_measured_alone():
    one, failed = made_up({}, environment=QUIET), made_up({}, environment={}, status="oom")
    comparable.require_one([failed, one, made_up({}, environment=QUIET)])
    other = made_up({}, environment={**QUIET, "host": "c", "packages": {"torch": "2.8"}})
    with pytest.raises(BadInput, match=r"\(host: a and c\)"):
        comparable.require_one([one, other])
    with pytest.raises(BadInput, match=r"\(packages: torch 2.9 and 2.8\)"):
        comparable.require_one([one, other], comparable.SAME_DEVICE)


@pytest.mark.parametrize("memory, noise", [
    ({RSS: None}, None),
    ({RSS: 1000, VRAM: 500}, 0.0),  # it repeats exactly
    ({RSS: 1000}, 80.0),  # of old records
    ({RSS: 1000, "repeats_peak_rss_bytes": [1000, None, 990]}, 80.0),
    ({RSS: 1000, "repeats_peak_rss_bytes": [500, 500, 500]}, 0.0),
    ({RSS: 1000, "repeats_peak_rss_bytes": [500, 505, 495]}, 1000 * 0.01 * 4.303 * 2**0.5),  # of another trial
])  # fmt: skip
def test_the_noise_of_memory_is_that_of_the_studys_repeats(memory, noise):
    assert comparable.memory_noise(made_up({}, memory=memory)) == (noise and pytest.approx(noise))
