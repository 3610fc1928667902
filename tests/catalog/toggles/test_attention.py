"""Every way to compute attention, on real classes: applied, observed, and what stands in for a missing kernel."""

import sys
from types import SimpleNamespace

import pytest
import xformers.ops
from diffusers.models.attention_processor import XFormersAttnProcessor
from toggling import DIFFUSERS, baseline, build, fresh_is_untouched, run, shoot, tolerance, trial

from mic2e_bench.catalog.toggles.attention import ATTENTION, missing, parse
from mic2e_bench.catalog.toggles.backends import attention
from mic2e_bench.plan import settings

UNETS = ("sdxl-inpaint", "objectclear")


def test_values():
    assert [parse(v, None) for v in ("native", "cudnn", "flash_attn_3", "sliced", "sliced:8")] == [
        "native", "cudnn", "flash_attn_3", "sliced:auto", "sliced:8",
    ]  # fmt: skip
    for wrong in ("flashy", "sliced:0", "sliced:-1", 8, None, ["math"]):
        with pytest.raises(
            ValueError,
            match="one of native, math, efficient, flash, cudnn, xformers, xformers-else-sliced, flash_attn_2",
        ):
            parse(wrong, None)


@pytest.mark.parametrize("name", (*DIFFUSERS, "sam3"))
@pytest.mark.parametrize("value", ("math", "flash"))
def test_kernels_that_a_cpu_has(name, value):
    shot = run(name, attention=value)
    assert shot.receipts["attention"]["seen"] == value
    assert shot.applied("attention")
    assert shot.off_by(baseline(name)) <= tolerance("attention")


@pytest.mark.parametrize("value", ("efficient", "cudnn", "flash_attn_2", "flash_attn_3"))
def test_kernels_that_a_cpu_has_not_are_known_to_be_missing_before_loading(value):
    assert settings.missing(trial("sam3", attention=value).settings).startswith(
        f"attention {value}: this kernel exists"
    )


@pytest.mark.parametrize("value", ("flash_attn_2", "flash_attn_3"))
def test_missing_package_is_named(value):
    assert missing(value, "cuda").startswith(f"the package {attention.PACKAGES[value][0]} is not installed (")


@pytest.mark.parametrize(("name", "error"), [("flux-schnell", RuntimeError), ("z-image-turbo", RuntimeError),
                                             ("sdxl-inpaint", ModuleNotFoundError), ("sam3", ImportError)])  # fmt: skip
def test_packages_are_asked_for_where_each_model_takes_them(name, error):
    made, _ = build(name)
    for value in attention.PACKAGES:
        with pytest.raises(error, match=r"(?i)flash.?att"):
            attention.put(made, value)


def test_a_kernel_that_does_not_run_is_seen_for_what_ran_instead():
    made, planned = build("flux-schnell")
    attention.put(made, "efficient")  # no such kernel on a CPU
    seen = ATTENTION.observe(shoot(made, planned).build, "efficient")
    assert seen.value == "native"
    assert "flash_attention_for_cpu x6" in seen.how
    assert "sdpa_kernel prefers efficient" in seen.how


@pytest.mark.parametrize("name", UNETS)
def test_sliced(name):
    shot = run(name, attention="sliced:1")
    assert shot.receipts["attention"] == {
        "asked": "sliced:1", "seen": "sliced:1", "applied": True,
        "how": "SlicedAttnProcessor x14; VAE: AttnProcessor2_0 x2; slice size 1",
    }  # fmt: skip
    assert shot.off_by(baseline(name)) <= tolerance("attention")


@pytest.mark.parametrize("name", ("flux-schnell", "sam3"))
def test_sliced_does_nothing_on_transformers(name):
    shot = run(name, attention="sliced:1")
    assert not shot.applied("attention")
    assert shot.receipts["attention"]["reason"].startswith("attention slicing does nothing on ")


def test_the_services_choice_is_in_force_either_way_and_says_which():
    receipt = run("sdxl-inpaint", attention="xformers-else-sliced").receipts["attention"]
    assert receipt["applied"] and receipt["seen"] == "sliced:auto" and "fell back" in receipt["how"]
    receipt = run("flux-schnell", attention="xformers-else-sliced").receipts["attention"]
    assert not receipt["applied"] and receipt["seen"] == "native" and "does nothing" in receipt["reason"]


@pytest.mark.parametrize("name", UNETS)
def test_xformers_without_cuda_is_the_slicing_that_the_service_falls_back_to(name):
    receipt = run(name, attention="xformers").receipts["attention"]
    assert (receipt["seen"], receipt["applied"]) == ("sliced:auto", False)
    assert "fell back to attention slicing" in receipt["reason"]


def plain(query, key, value, *args, scale=None, **kwargs):
    """Attention over the last two axes, with no kernel that could be counted."""
    scores = query @ key.transpose(-1, -2) * (scale or query.shape[-1] ** -0.5)
    return scores.softmax(dim=-1) @ value


@pytest.fixture
def standin(monkeypatch):
    """xFormers' place in a pipeline, without its device."""
    monkeypatch.setattr(xformers.ops, "memory_efficient_attention", plain)

    def give(made):
        def enable():
            for module in (made.pipe.unet, made.pipe.vae):
                module.set_attn_processor(XFormersAttnProcessor())

        made.pipe.enable_xformers_memory_efficient_attention = enable

    return give


@pytest.mark.parametrize("name", UNETS)
def test_what_comes_last_is_in_force_and_the_receipt_says_which(name, standin):
    made, planned = build(name)
    standin(made)
    attention.put(made, "sliced:1")
    attention.put(made, "xformers")
    shot = shoot(made, planned)
    assert ATTENTION.observe(made, "xformers").value == "xformers"
    assert shot.off_by(baseline(name)) <= tolerance("attention")
    attention.put(made, "sliced:1")
    shot, seen = shoot(made, planned), ATTENTION.observe(made, "xformers")
    assert seen.value == "sliced:1"
    assert "VAE: XFormersAttnProcessor x2" in seen.how  # slicing does not reach the VAE
    assert shot.off_by(baseline(name)) <= tolerance("attention")


@pytest.mark.parametrize("name", UNETS)
@pytest.mark.parametrize("value", ("flash_attn_2", "flash_attn_3"))
def test_flash_attention_package_on_a_unet(name, value, monkeypatch):
    def kernel(query, key, value):
        return plain(*(states.transpose(1, 2) for states in (query, key, value))).transpose(1, 2)

    monkeypatch.setitem(sys.modules, attention.PACKAGES[value][0], SimpleNamespace(flash_attn_func=kernel))
    made, planned = build(name, precision="bf16")
    attention.put(made, value)
    shot = shoot(made, planned)
    seen = ATTENTION.observe(made, value)
    assert (seen.value, seen.applied) == (value, None)
    assert shot.differs(baseline(name, precision="bf16")) < 0.02


def test_flash_attention_package_counts_what_it_cannot_take(monkeypatch):
    monkeypatch.setitem(sys.modules, "flash_attn", SimpleNamespace(flash_attn_func=None))
    made, planned = build("sdxl-inpaint")  # in float32, which the package does not take
    attention.put(made, "flash_attn_2")
    shot = shoot(made, planned)
    assert made.denoiser.mid_block.attentions[0].transformer_blocks[0].attn1.processor.fell_back == 28
    assert ATTENTION.observe(made, "flash_attn_2").value == "native"
    assert shot.off_by(baseline("sdxl-inpaint")) <= tolerance("attention")


def test_xformers_operators_are_told_from_pytorchs():
    made, planned = build("flux-schnell")
    shoot(made, planned)
    for name, seen in [("xformers_flash::flash_fwd", "xformers"), ("_efficient_attention_forward", "xformers"),
                       ("flash_attn::_flash_attn_forward", "flash_attn_2"), ("flash_attn_3::fwd", "flash_attn_3"),
                       ("_scaled_dot_product_flash_attention", "native")]:  # fmt: skip
        made.witness.attention.clear()
        made.witness.attention[name] = 6
        assert ATTENTION.observe(made, seen).value == seen


def test_fresh_build():
    assert fresh_is_untouched("sdxl-inpaint", "flux-schnell")
