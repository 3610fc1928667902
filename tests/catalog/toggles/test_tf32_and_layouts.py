"""Process-wide switches, memory layout, fused projections and inference_mode."""

import pytest
import torch
from toggling import DIFFUSERS, baseline, build, fresh_is_untouched, run, shoot, tolerance, trial

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.toggles import channels_last, tf32
from mic2e_bench.catalog.toggles.fused_qkv import FUSED_QKV
from mic2e_bench.plan import conflicts


@pytest.fixture(autouse=True)
def switches():
    """In a study each build has a process of its own; here the next test gets the switches as they were."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before


@pytest.mark.parametrize("name", ("sdxl-inpaint", "sam3"))
@pytest.mark.parametrize(("value", "flags"), [("all", (True, True)), ("none", (False, False))])
def test_tf32_sets_its_flags_and_says_that_a_cpu_has_no_use_for_them(name, value, flags):
    shot = run(name, tf32=value)
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == flags
    receipt = shot.receipts["tf32"]
    assert (receipt["seen"], receipt["applied"]) == (value, False)
    assert receipt["reason"] == "TensorFloat-32 is a format of CUDA devices; the device is cpu"
    assert shot.off_by(baseline(name)) == 0


def test_tf32_values():
    assert [tf32.parse(value, None) for value in (True, False, "convolutions")] == ["all", "none", "convolutions"]
    for wrong in ("on", 1, None):
        with pytest.raises(ValueError, match="one of none, convolutions, all"):
            tf32.parse(wrong, None)


def test_tf32_is_idle_on_a_gpu_that_lacks_it_or_works_in_16_bits(monkeypatch):
    made, _ = build("flux-schnell")
    made.device, made.witness.denoiser = "cuda", [(1, "bfloat16")]
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    assert tf32.TF32.observe(made, "all").reason == "the denoiser computes in bfloat16, not in float32"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "T4")
    assert tf32.TF32.observe(made, "all").reason == "T4 has no TensorFloat-32 units"


@pytest.mark.parametrize("name", ("sdxl-inpaint", "flux-schnell"))
def test_cudnn_benchmark(name):
    shot = run(name, cudnn_benchmark=True)
    assert torch.backends.cudnn.benchmark
    assert not shot.applied("cudnn_benchmark")
    assert shot.receipts["cudnn_benchmark"]["reason"] == "cuDNN is for CUDA devices; the device is cpu"
    assert shot.off_by(baseline(name)) == 0


@pytest.mark.parametrize("name", ("sdxl-inpaint", "objectclear"))
@pytest.mark.parametrize(("value", "counts"), [("denoiser", (28, 0)), ("vae", (0, 42)), ("both", (28, 42))])
def test_channels_last(name, value, counts):
    shot = run(name, channels_last=value)
    denoiser, vae = counts
    assert shot.receipts["channels_last"] == {
        "asked": value, "seen": value, "applied": True,
        "how": f"denoiser: {denoiser} of 36 4-D weights channels-last; vae: {vae} of 48 4-D weights channels-last",
    }  # fmt: skip
    assert shot.off_by(baseline(name)) <= tolerance("channels_last")


def test_channels_last_on_a_transformer_reaches_the_vae_only():
    receipt = run("flux-schnell", channels_last="both").receipts["channels_last"]
    assert (receipt["seen"], receipt["applied"]) == ("vae", False)
    assert receipt["reason"] == "FluxTransformer2DModel has no 4-D weights"


def test_channels_last_of_sam3():
    assert run("sam3", channels_last="denoiser").applied("channels_last")
    with pytest.raises(ValueError, match=r"one of none, denoiser$"):
        channels_last.parse("both", registry.pipeline("sam3"))


@pytest.mark.parametrize(("name", "projections"), [("sdxl-inpaint", 14), ("objectclear", 14), ("flux-schnell", 6)])
def test_fused_projections(name, projections):
    shot = run(name, fused_qkv=True)
    assert shot.receipts["fused_qkv"]["how"].startswith(f"{projections} fused projections")
    assert [key for key in shot.receipts if not shot.applied(key)] == []
    assert shot.off_by(baseline(name)) <= tolerance("fused_qkv")


def test_z_image_cannot_fuse():
    receipt = run("z-image-turbo", fused_qkv=True).receipts["fused_qkv"]
    assert (receipt["applied"], receipt["reason"]) == (False, "ZImageTransformer2DModel cannot fuse its projections")


def test_fused_layers_that_nothing_calls_are_not_taken_for_fused():
    made, planned = build("sdxl-inpaint", fused_qkv=True)
    made.pipe.enable_attention_slicing(1)
    seen = FUSED_QKV.observe(shoot(made, planned).build, True)
    assert (seen.value, seen.reason) == (
        False, "the fused projections are there, but another attention processor is in force",
    )  # fmt: skip


@pytest.mark.parametrize("attention", ("xformers", "sliced:1", "flash_attn_2"))
def test_a_unet_cannot_have_fused_projections_and_another_processor(attention):
    both = trial("objectclear", attention=attention, fused_qkv=True).settings
    assert "bring their own attention processor" in conflicts.find(both, registry.pipeline("objectclear"))
    assert not conflicts.find({**both, "attention": "math"}, registry.pipeline("objectclear"))
    assert not conflicts.find(both, registry.pipeline("flux-schnell"))


def test_fused_projections_and_slicing_by_force():
    shot = run("objectclear", attention="sliced:1", fused_qkv=True)
    assert (shot.applied("fused_qkv"), shot.applied("attention")) == (True, False)
    assert shot.receipts["attention"]["reason"] == "native was put in force after the slicing"
    assert shot.off_by(baseline("objectclear")) <= tolerance("fused_qkv")


@pytest.mark.parametrize("value", ("flash", "cudnn", "flash_attn_2", "flash_attn_3"))
def test_kernels_of_16_bits_are_refused_in_float32_on_a_gpu(value):
    asked = {**trial("flux-schnell", attention=value).settings, "device": "cuda"}
    assert "fp16 and bf16 only" in conflicts.find(asked, registry.pipeline("flux-schnell"))
    assert not conflicts.find({**asked, "precision": "bf16"}, registry.pipeline("flux-schnell"))
    assert not conflicts.find({**asked, "device": "cpu"}, registry.pipeline("flux-schnell"))


@pytest.mark.parametrize("name", DIFFUSERS)
def test_inference_mode(name):
    shot = run(name, grad_mode="inference_mode")
    assert shot.receipts["grad_mode"]["seen"] == "inference_mode"
    assert [key for key in shot.receipts if not shot.applied(key)] == []
    assert shot.off_by(baseline(name)) == 0


def test_sam3_has_inference_mode_as_the_service_calls_it():
    assert baseline("sam3").receipts["grad_mode"]["seen"] == "inference_mode"
    shot = run("sam3", grad_mode="no_grad")
    assert shot.receipts["grad_mode"]["seen"] == "no_grad"
    assert shot.off_by(baseline("sam3")) == 0


def test_in_16_bits_the_vae_is_cast_to_and_fro_in_inference_mode():
    made, planned = build("sdxl-inpaint", precision="bf16", grad_mode="inference_mode", channels_last="both")
    first, second = shoot(made, planned), shoot(made, planned)
    assert first.off_by(second) == 0
    assert [key for key in second.receipts if not second.applied(key)] == []


def test_fresh_build():
    assert fresh_is_untouched("sdxl-inpaint", "sam3")
