"""A child as its parent sees it: what its messages lead to, told by a process that measures nothing."""

import helpers
import pretended
import pytest
from helpers import tiny
from pretended import GIB, card

from mic2e_bench.machine import environment, nvidia
from mic2e_bench.run import child, outcomes, progress

# Python 3.12 and later warn of any fork of a process that has threads
pytestmark = pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")


@pytest.fixture
def full_card(monkeypatch):
    """A driver that shows one card, nearly all of whose memory others hold."""
    pretended.driver(monkeypatch.setattr, [card(used=79 * GIB)])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for asked_once in (nvidia.handle, environment.gpu):
        asked_once.cache_clear()
    yield
    for asked_once in (nvidia.handle, environment.gpu):
        asked_once.cache_clear()


def test_a_card_that_others_hold_is_told_from_a_setting_that_does_not_fit(full_card, monkeypatch, tmp_path):
    """It ran out of memory because of them: the next size is tried all the same."""
    study = helpers.study(tiny(baseline={**tiny()["baseline"], "device": "cuda"}, vary={"resolution": [64, 128]}))
    done = outcomes.Outcomes(tmp_path, outcomes.Summary())
    done.progress = progress.Progress(list(study.trials))
    helpers.saying(monkeypatch, ("failed", study.trials[0].id, "oom", "OutOfMemoryError: CUDA out of memory"))
    assert child.Child(list(study.trials), done).run() == [study.trials[1]]
    (record,) = done.summary.records.values()
    assert record.status == "oom" and record.environment["held_by_others_bytes"] == 79 * GIB
    assert record.reason.endswith("; 79.0 GiB of the card were taken before it began: free them and run again")
    assert done.too_large == [] and not done.cannot_fit(study.trials[1])


@pytest.mark.parametrize(
    ("status", "reason", "goes_on"),
    [
        ("unavailable", "quantize torchao-fp8dyn: no float8 matrix units", True),
        ("oom", "OutOfMemoryError: CUDA out of memory", False),
        ("error", "RuntimeError: cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", False),
        ("error", "RuntimeError: CUBLAS_STATUS_EXECUTION_FAILED", False),
        ("error", "AcceleratorError: CUDA error: an illegal memory access was encountered", False),
        ("error", "ValueError: anything that a call ended half-way with", False),
    ],
)
def test_a_process_that_a_call_left_half_way_measures_nothing_more(status, reason, goes_on, tmp_path, monkeypatch):
    """The worker fails in both of its trials; where it cannot go on, the second one is left for another."""
    first, second = helpers.study(helpers.tiny()).trials
    helpers.saying(monkeypatch, ("failed", first.id, status, reason), ("failed", second.id, status, reason))
    done = outcomes.Outcomes(tmp_path, outcomes.Summary())
    done.progress = progress.Progress([first, second])
    assert child.Child([first, second], done).run() == ([] if goes_on else [second])
    assert [(one.status, one.reason) for one in done.summary.records.values()] == [(status, reason)] * (1 + goes_on)
