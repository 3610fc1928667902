"""Metrics on a real photograph: what is equal, what is worse, and over which pixels."""

import warnings

import numpy as np
import pytest
from helpers import made_up

from mic2e_bench import statistics
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.metrics import latency, perceptual
from mic2e_bench.errors import BadInput
from mic2e_bench.run.scoring.regions import RING, Masks, Picture

METRICS = {name: metric for name, metric in registry.metrics().items() if metric.of == "images"}


@pytest.fixture(scope="module")
def photograph():
    """Part of a portrait, 192 x 176 pixels."""
    data = pytest.importorskip("skimage.data")
    return data.astronaut()[:176, 130:322].astype(np.float32) / 255


def blurred(image, sigma):
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, (sigma, sigma, 0))


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    """An empty hub cache; what a test chooses is forgotten after it."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    perceptual.choose(None)
    yield
    perceptual.choose(None)


@pytest.mark.parametrize("name", METRICS)
def test_more_blur_is_worse_and_none_is_best(name, photograph):
    values = [METRICS[name].compute(blurred(photograph, sigma), photograph) for sigma in (0, 0.5, 1, 2, 4)]
    assert values == sorted(values, reverse=METRICS[name].better == "higher")
    assert len(set(values)) == len(values)
    assert all(np.isfinite(values))
    best = {"lpips": 0, "psnr": 100, "ssim": 1, "ms_ssim": 1}[name]
    assert values[0] == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.within])
def test_a_change_is_found_in_its_region_alone(name, photograph):
    left, right = np.zeros((2, *photograph.shape[:2]), dtype=bool)
    left[:, :64], right[:, 128:] = True, True
    changed = np.where(left[..., None], 1 - photograph, photograph)
    found = METRICS[name].within(changed, photograph, {"left": left, "right": right})
    equal = METRICS[name].compute(photograph, photograph)
    assert found["right"] == pytest.approx(equal, abs=2e-3)
    assert abs(found["left"] - equal) > 0.05


def test_psnr_is_the_formula(photograph):
    rng = np.random.default_rng(0)
    changed = np.clip(photograph + rng.normal(0, 0.1, photograph.shape), 0, 1)
    expected = -10 * np.log10(np.mean((changed - photograph) ** 2))
    assert METRICS["psnr"].compute(changed, photograph) == pytest.approx(expected, rel=1e-6)


def test_what_is_too_small_is_refused_with_its_size(photograph):
    small = photograph[:100]
    with pytest.raises(ValueError, match="at least 161 pixels a side, not 192x100"):
        METRICS["ms_ssim"].compute(small, small)
    with pytest.raises(ValueError, match="at least 11 pixels a side, not 192x8"):
        METRICS["ssim"].compute(small[:8], small[:8])


def test_iou():
    iou = registry.metrics()["iou"].compute
    one, other = np.zeros((2, 10, 10), dtype=bool)
    assert iou(one, other) == 1
    one[:4], other[2:6] = True, True
    assert iou(one, other) == pytest.approx(1 / 3)
    assert iou(one, ~one) == 0


def test_samples_of_a_record():
    assert latency.quartiles([2.0]) == (2.0, 2.0, 2.0)
    assert latency.quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == (2.0, 3.0, 4.0)
    assert latency.spread([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(1 / 3)
    metrics = registry.metrics()
    assert metrics["latency_s"].compute(made_up({})) is None
    assert metrics["peak_vram_allocated_bytes"].compute(made_up({}, memory={"peak_vram_allocated_bytes": None})) is None
    assert metrics["peak_rss_bytes"].compute(made_up({}, memory={"peak_rss_bytes": 7})) == 7


def test_the_interval_covers_the_true_mean_and_shrinks():
    rng = np.random.default_rng(1)
    covered, widths = [], {10: [], 40: []}
    for size in widths:
        for _ in range(100):
            value, (low, high) = statistics.mean(rng.normal(3, 1, size), [str(i) for i in range(size)])
            assert low <= value <= high
            covered.append(low <= 3 <= high)
            widths[size].append(high - low)
    assert 0.86 < np.mean(covered) < 0.99
    assert np.mean(widths[40]) < 0.6 * np.mean(widths[10])


def test_the_interval_resamples_scenes_and_not_their_seeds():
    scenes, values = ["a"] * 20 + ["b"] * 20, [0.0] * 20 + [1.0] * 20
    assert statistics.mean(values, scenes) == (0.5, [0, 1])
    assert statistics.mean(values, scenes) == statistics.mean(values, scenes)
    assert statistics.mean([4.0], ["a"]) == (4, None)
    value, (low, high) = statistics.mean([1.0, 2.0, 3.0], ["a"] * 3)  # one scene: its seeds are all there is
    assert value == 2
    assert low < 2 < high
    assert statistics.ratio([1.0, 3.0], [2.0, 2.0], ["a", "b"])[0] == 1


def test_regions_are_exact(tmp_path):
    from PIL import Image

    mask, shadow = np.zeros((2, 80, 100), dtype=np.uint8)
    mask[20:40, 30:50], shadow[40:44, 30:50] = 255, 255
    for name, array in {"mask": mask, "shadow": shadow, "nothing": mask * 0}.items():
        Image.fromarray(array).save(tmp_path / f"{name}.png")
    found = Masks(tmp_path / "mask.png", tmp_path / "shadow.png").regions((100, 80))
    assert found["inside"].sum() == 20 * 24
    assert (found["inside"] ^ found["outside"]).all()
    rows, columns = np.indices((80, 100))
    away = np.hypot(rows - rows.clip(20, 43), columns - columns.clip(30, 49))
    assert (found["ring"] == ((away > 0) & (away <= RING * 80))).all()
    assert Masks(tmp_path / "mask.png").regions((50, 40))["inside"].sum() == 10 * 10
    assert set(Masks(tmp_path / "nothing.png").regions((100, 80))) == {"outside"}


def test_a_picture_is_kept_outside_a_mask(tmp_path):
    from PIL import Image

    for name, value in {"new": 200, "old": 50}.items():
        Image.new("RGB", (10, 8), (value,) * 3).save(tmp_path / f"{name}.png")
    Image.fromarray(np.pad(np.full((4, 4), 255, np.uint8), ((2, 2), (3, 3)))).save(tmp_path / "mask.png")
    array = Picture(tmp_path / "new.png", tmp_path / "old.png", tmp_path / "mask.png").read()
    assert (array[2:6, 3:7] == 200).all()
    assert (array == 200).sum() == 3 * 16
    noisy = Picture(tmp_path / "new.png", grain=True).read().astype(int)
    assert set(np.unique(noisy)) == {199, 200, 201}


def test_backbone_weights_are_found_and_named(tmp_path, monkeypatch, photograph, no_weights):
    import torch

    stand_in = perceptual.lpips(blurred(photograph, 2), photograph)
    assert "stand-in" in perceptual.backbone()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        import torchvision

        weights = torchvision.models.squeezenet1_1(weights=None).state_dict()
    path = tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    path.parent.mkdir(parents=True)
    torch.save(weights, path)
    assert perceptual.find() == ("squeeze", path)
    assert perceptual.backbone() == "squeeze, ImageNet"
    assert perceptual.lpips(blurred(photograph, 2), photograph) != stand_in
    with pytest.raises(BadInput, match=r"LPIPS weights: .*none\.pth"):
        perceptual.choose(tmp_path / "none.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "elsewhere"))
    perceptual.choose(path)
    assert perceptual.backbone() == "squeeze, ImageNet"
    perceptual.choose(None)
    assert "stand-in" in perceptual.backbone()


@pytest.mark.parametrize("kind", ["alex", "squeeze"])
def test_lpips_is_the_packages(kind, tmp_path, photograph, no_weights):
    """With weights in a file: the value and the map's mean of the package's own network with the same weights."""
    import torch
    import torchvision
    from lpips import LPIPS

    from mic2e_bench.catalog.metrics.backbones.lpips import tensors

    model = {"alex": torchvision.models.alexnet, "squeeze": torchvision.models.squeezenet1_1}[kind]
    with torch.random.fork_rng():
        torch.manual_seed(5)
        weights = model(weights=None).state_dict()
    path = tmp_path / {"alex": "alexnet-owt-7be5be79.pth", "squeeze": "squeezenet1_1-b8a52dc0.pth"}[kind]
    torch.save(weights, path)
    perceptual.choose(path)
    with warnings.catch_warnings(action="ignore"):
        package = LPIPS(net=kind, pnet_rand=True, verbose=False)
    features = [weight for name, weight in weights.items() if name.startswith("features.")]
    changed = blurred(photograph, 1.5)
    with torch.inference_mode():
        for parameter, weight in zip(package.net.parameters(), features, strict=True):
            parameter.copy_(weight)
        images = tensors(changed, photograph)
        expected = float(package(*images, normalize=True))
        package.spatial = True
        top = float(package(*images, normalize=True)[0, 0, :88].mean())
    region = np.zeros(photograph.shape[:2], dtype=bool)
    region[:88] = True
    found = perceptual.lpips_within(changed, photograph, {"top": region})
    assert found[""] == pytest.approx(expected, rel=1e-5)
    assert found["top"] == pytest.approx(top, rel=1e-5)
