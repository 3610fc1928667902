"""VAE tiling and slicing, loading, and what PyTorch's allocator is told."""

import gc
import time
from types import SimpleNamespace

import pytest
import torch
from toggling import DIFFUSERS, baseline, fresh_is_untouched, run, tolerance

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.pipeline import Build, Item
from mic2e_bench.catalog.toggles import vae_tiling
from mic2e_bench.run import measure

PICTURES = ("sdxl-inpaint", "flux-schnell")


@pytest.mark.parametrize("name", PICTURES)
def test_tiling(name):
    shot = run(name, vae_tiling=64, resolution=128)
    plain = baseline(name, resolution=128)
    if name == "flux-schnell":  # a picture of 96x64 is not enlarged
        assert shot.receipts["vae_tiling"]["how"] == "use_tiling True, tiles of 64 pixels, 1 calls of tiled_decode"
    assert shot.receipts["vae_tiling"]["seen"] == 64
    assert shot.applied("vae_tiling")
    assert 0 < shot.differs(plain) < 0.2  # tiles are blended, and their tones differ


@pytest.mark.parametrize("name", PICTURES)
def test_tiling_of_what_is_no_larger_than_a_tile(name):
    shot = run(name, vae_tiling=True)
    assert not shot.applied("vae_tiling")
    size = "64x96" if name == "sdxl-inpaint" else "64x64"
    assert shot.receipts["vae_tiling"]["reason"] == (
        f"the VAE cuts only what is larger than its tiles of 256 pixels; it decoded {size}"
    )
    assert shot.off_by(baseline(name)) == 0


def test_tile_sizes():
    assert [vae_tiling.parse(value, None) for value in (True, False, 512)] == [True, False, 512]
    for wrong in (0, 100, 8192, "on", 64.0):
        with pytest.raises(ValueError, match="a multiple of 64"):
            vae_tiling.parse(wrong, None)


@pytest.mark.parametrize("name", DIFFUSERS)
def test_slicing_a_batch(name):
    shot = run(name, vae_slicing=True, batch=2)
    assert shot.receipts["vae_slicing"]["how"] == "use_slicing True; 2 images decoded in 1 calls, in 2 parts"
    assert shot.applied("vae_slicing")
    assert shot.off_by(baseline(name, batch=2)) <= tolerance("vae_slicing")


def test_slicing_one_picture():
    shot = run("flux-schnell", vae_slicing=True)
    assert not shot.applied("vae_slicing")
    assert shot.receipts["vae_slicing"]["reason"] == "the VAE slices batches only, and it decoded one image at a time"
    assert shot.off_by(baseline("flux-schnell")) == 0


@pytest.mark.parametrize(("name", "real"), [("sdxl-inpaint", "107 of 132"), ("flux-schnell", "68 of 94")])
def test_low_cpu_mem_usage(name, real):
    assert baseline(name).receipts["low_cpu_mem_usage"]["how"].startswith("0 of ")
    shot = run(name, low_cpu_mem_usage=False)
    assert shot.receipts["low_cpu_mem_usage"]["how"].startswith(f"{real} Linear layers were initialised in memory")
    assert shot.applied("low_cpu_mem_usage")
    assert shot.off_by(baseline(name)) == 0


def test_low_cpu_mem_usage_cannot_be_turned_off_in_transformers():
    receipt = run("sam3", low_cpu_mem_usage=False).receipts["low_cpu_mem_usage"]
    assert (receipt["seen"], receipt["applied"]) == (True, False)
    assert receipt["reason"].startswith("transformers' models never initialise what they load")


@pytest.mark.parametrize("name", ("flux-schnell", "sam3"))
@pytest.mark.parametrize(("toggle", "value"), [("expandable_segments", True), ("memory_fraction", 0.5)])
def test_the_allocator_of_a_gpu_is_none_of_a_cpus_business(name, toggle, value):
    shot = run(name, **{toggle: value})
    assert not shot.applied(toggle)
    assert shot.receipts[toggle]["reason"].endswith("; the device is cpu")
    assert shot.off_by(baseline(name)) == 0
    if toggle == "expandable_segments":
        torch._C._accelerator_setAllocatorSettings("expandable_segments:False")


def test_memory_fraction_values():
    for wrong in (0, 1.5, True, "half"):
        with pytest.raises(ValueError, match=r"a number from 0\.001 to 1"):
            registry.toggles()["memory_fraction"].parse(wrong, None)


@pytest.fixture(scope="module", autouse=True)
def frozen_again():
    """As ``conftest.py`` leaves it: in the files that come, no collection goes through the libraries."""
    yield
    gc.collect()
    gc.freeze()


@pytest.mark.parametrize("name", ("flux-schnell", "sam3"))
def test_cache_clearing(name, monkeypatch):
    collected = []
    monkeypatch.setattr(gc, "collect", lambda: collected.append(1))
    shot = run(name, cache_clearing="each_call")
    assert shot.applied("cache_clearing")
    assert len(collected) == 1
    assert shot.receipts["cache_clearing"]["how"].startswith("gc.collect(); no device cache here after 1 calls, ")
    assert shot.off_by(baseline(name)) == 0
    assert baseline(name).receipts["cache_clearing"] == {
        "asked": "never", "seen": "never", "applied": True, "how": "nothing was cleared",
    }  # fmt: skip


def test_clearing_is_a_part_of_the_timed_call(monkeypatch):
    made = Build(SimpleNamespace(call=lambda build, item, seed: [], task="inpainting", components=()))
    monkeypatch.setattr(gc, "collect", lambda: time.sleep(0.05))
    registry.toggles()["cache_clearing"].apply(made, "each_call")
    assert measure.timed_call(made, Item("one"), 0)["latency_s"] >= 0.05


def test_fresh_build():
    assert fresh_is_untouched(*PICTURES)
