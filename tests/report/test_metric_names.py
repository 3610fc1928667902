"""Metrics as people read them."""

import math

import pytest

from mic2e_bench.report import metric_names

EQUAL = [("psnr", 100.0), ("psnr", math.inf), ("psnr.inside", 100.0), ("flip", 0.0), ("lpips", 1.86e-15),
         ("lpips.truth", -1e-12), ("ssim", 1.0), ("ms_ssim", 0.9999999999), ("iou", 1.0)]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), EQUAL)
def test_equal_images_are_called_identical(name, value):
    assert metric_names.shown(name, value) == "identical"
    assert metric_names.worded(name, value).endswith(": identical")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("psnr", 99.9, "99.9"), ("lpips", 0.0012, "0.00120"), ("ssim", 0.99, "0.990"), ("quality", 100.0, "100"),
     ("iou", 0.0, "0"), ("psnr", None, "–"), ("flip", math.nan, "–")],
)  # fmt: skip
def test_all_others_have_their_digits(name, value, words):
    assert metric_names.shown(name, value) == words


def test_a_caption_has_the_name_and_the_unit():
    assert metric_names.worded("psnr", 34.51) == "PSNR 34.5 dB"
    assert metric_names.worded("lpips", 0.0) == "LPIPS: identical"
