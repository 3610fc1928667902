"""Metrics on a real photograph: what is equal, what is worse, and over which pixels."""

import warnings

import numpy as np
import pytest
from helpers import made_up

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.metrics import latency, perceptual
from mic2e_bench.errors import BadInput

METRICS = {name: one for name, one in registry.metrics().items() if one.of == "images" and not one.source}


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
    best = {"lpips": 0, "flip": 0, "psnr": 100, "ssim": 1, "ms_ssim": 1}[name]
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


def test_the_psnr_of_several_is_that_of_their_squared_errors():
    to, back = METRICS["psnr"].averaged
    assert [back(to(ratio)) for ratio in (0.0, 34.5, 100.0)] == pytest.approx([0, 34.5, 100])
    assert back((to(100.0) + to(20.0)) / 2) == pytest.approx(20 + 10 * np.log10(2))  # an equal one has no error at all


def test_ssim_is_scikit_images(photograph):
    """With Wang's window and the borders left out, as both have it."""
    from skimage.metrics import structural_similarity

    changed = blurred(photograph, 1.5)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    expected = structural_similarity(
        changed.astype(np.float64), photograph.astype(np.float64), channel_axis=2, **options
    )
    assert METRICS["ssim"].compute(changed, photograph) == pytest.approx(expected, abs=1e-9)


def test_what_lies_outside_a_region_is_no_part_of_its_ssim(photograph):
    region = np.zeros(photograph.shape[:2], dtype=bool)
    region[30:90, 40:120] = True
    changed = blurred(photograph, 1.5)
    torn = np.where(region[..., None], changed, 1 - changed)
    one, other = (METRICS["ssim"].within(image, photograph, {"in": region}) for image in (changed, torn))
    assert one["in"] == other["in"] and one[""] > other[""] + 0.1


# NVIDIA's own figures of its reference and test pictures would need those; what is known of any picture is this
def test_flip_is_nothing_for_equal_pictures_and_all_for_the_farthest_colours():
    black, white = np.zeros((2, 64, 64, 3), dtype=np.float32)
    white = white + 1
    flip = METRICS["flip"].compute
    assert (flip(white, white), flip(white, black)) == (0, pytest.approx(flip(black, white)))
    green, blue = (np.eye(3, dtype=np.float32)[channel] * np.ones((64, 64, 1), np.float32) for channel in (1, 2))
    assert flip(green, blue) == pytest.approx(1, abs=2e-3)  # the two that the colour space puts farthest apart


def test_quality_is_flips_without_lpips_weights(no_weights, tmp_path):
    from mic2e_bench.catalog.metrics import quality

    assert (quality.source(), quality.backbone()) == ("flip", "LDR-FLIP, 67 pixels per degree")
    assert [quality.quality(distance) for distance in (0, 0.25, 1)] == [100, 75, 0]
    (tmp_path / "alexnet-owt-7be5be79.pth").write_bytes(b"weights")
    perceptual.choose(tmp_path / "alexnet-owt-7be5be79.pth")
    assert (quality.source(), quality.backbone()) == ("lpips", "LPIPS, alex, ImageNet")


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
    process, card = {"peak_rss_bytes": 7, "loaded_rss_bytes": 4}, {"peak_vram_reserved_bytes": 90}
    for memory, above in (
        (process, 3),
        ({**process, **card}, None),
        ({**process, **card, "loaded_vram_bytes": 80}, 10),
    ):
        assert metrics["above_loaded_bytes"].compute(made_up({}, memory=memory)) == above


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
