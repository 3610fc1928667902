"""The stand-in for LPIPS' weights: graded distortions, how it ranks them, and that its training works and resumes."""

import json

import numpy as np
import pytest

from mic2e_bench.catalog.metrics.backbones import standin
from mic2e_bench.workshop.perceptual import __main__ as command
from mic2e_bench.workshop.perceptual import distort, rank


@pytest.fixture(scope="module")
def photograph():
    pytest.importorskip("skimage")
    return rank.photographs()["chelsea"]


@pytest.mark.parametrize("kind", distort.KINDS)
def test_every_level_changes_more(kind, photograph):
    changed = [distort.distort(kind, photograph, level, seed=1) for level in distort.LEVELS]
    errors = [float(np.square(image - photograph).mean()) for image in changed]
    assert errors == sorted(errors)
    assert errors[0] > 0
    assert all(image.dtype == np.float32 and image.min() >= 0 and image.max() <= 1 for image in changed)
    assert np.array_equal(changed[3], distort.distort(kind, photograph, 4, seed=1))


def test_spearman_is_of_one_photograph_and_of_all():
    levels = np.array(distort.LEVELS)
    found = rank.spearman({"blur": np.stack([levels, 100 + levels]), "noise": np.stack([levels, -levels])})
    assert found["within"]["blur"] == pytest.approx(1)
    assert found["across"]["blur"] < 0.9  # one photograph's levels all lie above the other's
    assert found["within"]["noise"] == pytest.approx(0)
    assert found["across"]["all"] == pytest.approx((found["across"]["blur"] + found["across"]["noise"]) / 2)


def test_the_bundled_network_is_the_best_there_was():
    """What is shipped is what the figures beside it are of, and it won."""
    found = json.loads((standin.FOLDER / "ranking.json").read_text())["ranking"]
    names = [name for name in found if name not in ("ms_ssim", "psnr", "ssim")]
    assert names[0] == "trained on scenes"
    assert found["trained on scenes"]["across"]["all"] > found["ssim"]["across"]["all"]


def test_the_bundled_network_ranks_real_photographs(photograph, monkeypatch):
    from mic2e_bench.catalog.metrics.backbones import lpips
    from mic2e_bench.workshop.perceptual.candidates import of

    monkeypatch.setattr(rank, "photographs", lambda: {"chelsea": photograph})
    found = rank.spearman(rank.table(of(*lpips.stand_in())))
    assert found["within"]["all"] > 0.95


def test_training_resumes_and_installs_weights(tmp_path, monkeypatch, capsys):
    import torch

    from mic2e_bench.workshop.perceptual import train

    class Small(train.Task):
        def __init__(self):
            super().__init__(scenes=6)

    monkeypatch.setattr(train, "Task", Small)
    arguments = ["train", "--out", str(tmp_path / "out"), "--install", str(tmp_path / "in")]
    assert command.main([*arguments, "--steps", "1"]) == 0
    assert command.main([*arguments, "--steps", "2"]) == 0
    assert "resumed at step 1" in capsys.readouterr().out
    made = standin.load(tmp_path / "in" / "perceptual")
    images = Small().pictures.float() / 255
    with torch.inference_mode():
        layers, others = made.features(images), made.features(images.roll(1, 0))
        assert made.distance(layers, layers).abs().max() == 0
        assert made.distance(layers, others).mean() == pytest.approx(1, rel=0.02)
    (tmp_path / "out" / "perceptual" / "checkpoint.pt").write_bytes(b"torn")
    assert command.main([*arguments, "--steps", "2"]) == 2
    assert "damaged" in capsys.readouterr().err
