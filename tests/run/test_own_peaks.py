"""Peaks of main memory on a bundled model: the same in any order of trials, and above what was loaded."""

import itertools

import helpers
import pytest
from helpers import tiny

from mic2e_bench.catalog.metrics.memory import above_loaded
from mic2e_bench.records.comparable import memory_noise
from mic2e_bench.run import visits

SMALL, LARGE = {"resolution": 64}, {"resolution": 192}
PHOTO = {"source": "bundled", "limit": 1}
PLAIN = {"resolution": 192, "guidance": 1.0}


def in_order(folder, repeats, *order):
    """The records, by resolution and guidance, of a study that measures these in this order."""
    first, *others = ({"guidance": 2.5, **each} for each in order)
    content = tiny(baseline={"steps": 1, "threads": 2, **first}, vary=None, trials=others, inputs=PHOTO)
    content["protocol"]["repeats"] = repeats
    summary = helpers.run(content, folder)
    assert not summary.failed
    return {(one.settings["resolution"], one.settings["guidance"]): one for one in summary.records.values()}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    orders = (2, SMALL, PLAIN, LARGE), (1, LARGE, PLAIN, SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(visits, "FEWEST", 4)  # that the baseline is timed again is no part of this
        return [in_order(tmp_path_factory.mktemp("results"), *order) for order in orders]


def test_peaks_do_not_depend_on_the_order_of_trials(measured):
    assert [len(found) for found in measured] == [3, 3]
    for key in measured[0]:
        peaks = [each[key].memory["peak_rss_bytes"] for each in measured]
        assert peaks[0] == pytest.approx(peaks[1], rel=0.01)  # the artefact of the order was up to 30 %
    for found in measured:
        small, plain, large = (found[key].memory["peak_rss_bytes"] for key in ((64, 2.5), (192, 1.0), (192, 2.5)))
        assert small < min(plain, large) and plain < 1.01 * large


def test_every_record_knows_the_noise_of_its_study(measured):
    repeated, once = measured
    (repeats,) = {tuple(one.memory["repeats_peak_rss_bytes"]) for one in repeated.values()}
    assert len(repeats) == 3
    assert all(0 < memory_noise(one) < 0.05 * one.memory["peak_rss_bytes"] for one in repeated.values())
    assert not any("repeats_peak_rss_bytes" in one.memory for one in once.values())  # nor is its time repeated


def test_a_setting_shows_above_the_loaded_pipeline(measured):
    for found in measured:
        above = {key: above_loaded(one) for key, one in found.items()}
        assert 0 < above[64, 2.5] < above[192, 2.5] < 100 << 20
        for one, phases in ((one, one.memory["phases"]) for one in found.values()):
            assert list(phases) == ["load", "encode", "denoise", "decode"]
            calls = itertools.islice(phases.values(), 1, None)
            assert max(each["rss_bytes"] for each in calls) == one.memory["peak_rss_bytes"]
            assert one.memory["loaded_rss_bytes"] > one.memory["weights_bytes"]
            assert not {"shared_process", "loaded_again"} & set(one.memory)


@pytest.mark.parametrize("name", ("flux-schnell", "sdxl-inpaint", "z-image-turbo", "sam3"))
def test_a_pipeline_is_kept_as_it_was_loaded(tmp_path, name):
    size = {} if name == "sam3" else {"steps": 1, "resolution": 64}
    content = tiny(pipeline=name, baseline={"threads": 2, **size}, vary=None, inputs=PHOTO, metrics=[])
    (one,) = helpers.run(content, tmp_path).records.values()
    assert one.memory["rss_before_call_bytes"] and not {"shared_process", "loaded_again"} & set(one.memory)
