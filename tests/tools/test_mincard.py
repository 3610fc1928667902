"""The smallest card, by a bisection that a stand-in for the card answers, and what there is to say without one."""

import helpers
import pytest
from helpers import refusal, tiny

from mic2e_bench import errors
from mic2e_bench.machine import environment
from mic2e_bench.records import record
from mic2e_bench.run import runner
from mic2e_bench.tools import mincard

GIB = 2**30


@pytest.mark.parametrize("needed", (0.0004, 0.001, 0.004, 0.0432, 0.1, 0.37, 0.5, 0.99, 1.0))
def test_the_least_share_that_passes_is_found(needed):
    asked = []

    def passes(share):
        asked.append(share)
        return share >= needed

    found = mincard.smallest(passes)
    step = 0.01 if needed > 0.1 else 0.001  # a hundredth of a large card is much where little is needed
    assert needed <= found < max(needed, 0.001) + step
    assert len(asked) <= 12 and asked[0] == 1 and all(0 < share <= 1 for share in asked)


def test_what_does_not_fit_at_all_is_asked_once():
    asked = []
    assert mincard.smallest(lambda share: asked.append(share)) is None and asked == [1.0]


@pytest.fixture
def card(monkeypatch):
    """A card of 20 GiB of which a trial needs 3 GiB at 64 px and more than there is at 128; every probe is noted."""
    probes = []

    def run(studies, results):
        (study,) = studies
        (trial,) = study.trials
        probes.append(trial)
        large, share = trial.settings["resolution"] == 128, trial.settings["memory_fraction"]
        status = "ok" if not large and share * 20 >= 3 else "oom"
        # what CUDA counts is a little less than what the driver does
        memory = {"device_total_bytes": int(19.9 * GIB), "peak_beside_allocator_bytes": int(0.4 * GIB)}
        made = record.make(trial, status, "" if status == "ok" else "CUDA out of memory", memory=memory)
        return runner.Summary(records={trial.id: made})

    monkeypatch.setattr(environment, "gpu", lambda: {"name": "a card", "memory_bytes": 20 * GIB})
    monkeypatch.setattr(runner, "run", run)
    return probes


def test_every_trial_of_a_study(card, tmp_path):
    base = {**tiny()["baseline"], "device": "cuda"}
    study = helpers.study(tiny(baseline=base, vary={"resolution": [64, 128]}, protocol={"seeds": [3, 4], "cost": True}))
    fits, does_not = mincard.of_study(study, tmp_path)
    assert fits.fraction == 0.15 and fits.card_bytes == int(19.9 * GIB) and does_not.fraction is None
    assert fits.text == "tiny baseline: 3.0 GiB for PyTorch (15 % of this card), and 0.4 GiB beside it: 3.4 GiB"
    assert does_not.text == "tiny resolution=128: oom with the whole card: CUDA out of memory"
    shares = [trial.settings["memory_fraction"] for trial in card if trial.settings["resolution"] == 64]
    assert shares[0] == 1 and min(shares) < 0.15 and len(set(shares)) == len(shares)
    for trial in card:  # as few calls as will do, in a study of their own
        assert trial.study == "tiny-mincard" and trial.protocol["seeds"] == [3] and trial.protocol["repeats"] == 1
        assert {**trial.settings, "memory_fraction": 1.0} in [dict(one.settings) for one in study.trials]
    assert len(mincard.of_study(study, tmp_path, ("resolution=128",))) == 1


def test_what_cannot_be_asked(card, tmp_path):
    study = helpers.study(tiny(baseline={**tiny()["baseline"], "device": "cpu"}))
    with pytest.raises(errors.BadInput, match="tiny, baseline: device is cpu; set it to cuda"):
        mincard.of_study(study, tmp_path)
    with pytest.raises(errors.BadInput, match=r"unknown trial 'basline'. Did you mean 'baseline'\?"):
        mincard.of_study(study, tmp_path, ("basline",))
    assert not card


@pytest.mark.skipif(bool(environment.gpu()), reason="there is a card")
def test_without_a_card_one_line_says_so(capsys, tmp_path):
    path = helpers.file(tmp_path / "x.yaml", tiny())
    assert refusal(capsys, "mincard", path).startswith("mic2e-bench: mincard: no CUDA device here.")
