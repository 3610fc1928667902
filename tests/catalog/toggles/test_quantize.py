"""Quantised in place on real classes: counted, stored as it says, still the same picture."""

import pytest
import torch
from toggling import baseline, build, fresh_is_untouched, run, shoot, trial

from mic2e_bench.catalog.toggles import quantize
from mic2e_bench.catalog.toggles.backends import quantization
from mic2e_bench.catalog.toggles.quantize_parts import QUANTIZE_PARTS
from mic2e_bench.machine import probes
from mic2e_bench.plan import settings

# mean difference of the picture that is still the same one; stored dtype
EIGHT_BIT = {"bnb-int8": (0.005, "int8"), "torchao-int8wo": (0.005, "int8"), "torchao-int8dyn": (0.008, "int8")}
COARSE = {
    "bnb-nf4": (0.06, "uint8"),
    "torchao-fp8wo": (0.03, "float8_e4m3fn"),
    "fp8-layerwise": (0.05, "float8_e4m3fn"),
}
METHODS = {**EIGHT_BIT, **COARSE}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ("objectclear", "flux-schnell", "z-image-turbo"))  # a denoiser of each class
def test_denoiser(name, method):
    shot = run(name, quantize=method)
    limit, stored = METHODS[method]
    assert [key for key in shot.receipts if not shot.applied(key)] == []
    assert shot.receipts["quantize"]["seen"] == method
    assert f"layers {method} stored as {stored}" in shot.receipts["quantize"]["how"]
    assert 0 < shot.differs(baseline(name)) < limit
    full, now = (probes.weights_bytes({"it": each.build.denoiser}) for each in (baseline(name), shot))
    assert now < 0.7 * full


@pytest.mark.parametrize("method", ("bnb-int8", "bnb-nf4", "torchao-int8dyn", "fp8-layerwise"))
@pytest.mark.parametrize("name", ("sdxl-inpaint", "flux-schnell"))
def test_text_encoders(name, method):
    shot = run(name, quantize=method, quantize_parts="text_encoders")
    assert [key for key in shot.receipts if not shot.applied(key)] == []
    assert not quantization.quantised(shot.build.denoiser)
    # a prompt that is read a little differently moves the whole picture, by more the better a model listens to it
    assert 0 < shot.differs(baseline(name)) < max(0.05, METHODS[method][0])


def test_both():
    shot = run("z-image-turbo", quantize="bnb-nf4", quantize_parts="both")
    assert shot.receipts["quantize_parts"]["seen"] == "both"
    assert shot.receipts["quantize_parts"]["how"] == "quantised layers: denoiser 51, text_encoders 21"
    assert "transformer: 2 Linear layers in full (16 to 192 x1, 192 to 16 x1)" in shot.receipts["quantize"]["how"]


def test_parts_of_nothing():
    shot = run("z-image-turbo", quantize_parts="both")
    assert shot.receipts["quantize_parts"]["reason"] == "quantize is none, so no part is quantised"
    assert not shot.applied("quantize_parts")
    assert "quantize_parts" not in trial("sam3").settings
    assert QUANTIZE_PARTS.default == "denoiser"


@pytest.mark.parametrize("method", ("bnb-int8", "bnb-nf4", "torchao-int8wo", "fp8-layerwise"))  # of each kind of layer
def test_sam3(method):
    shot = run("sam3", quantize=method, prompt_kind="points")
    assert shot.applied("quantize")
    assert shot.image.shape == baseline("sam3", prompt_kind="points").image.shape
    assert shot.differs(baseline("sam3", prompt_kind="points")) < 0.2  # a mask: 0 or 1


def test_t5_keeps_the_layers_whose_dtype_it_casts_activations_to():
    made, _ = build("flux-schnell", quantize="bnb-nf4", quantize_parts="text_encoders")
    assert {p.dtype for name, p in made.pipe.text_encoder_2.named_parameters() if ".wo." in name} == {torch.float32}


def test_torchao_leaves_the_process_as_it_was():
    before = torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32
    build("flux-schnell", quantize="torchao-int8dyn")
    assert (torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32) == before


def test_fused_projections_are_quantised_as_well():
    shot = run("flux-schnell", quantize="torchao-int8wo", fused_qkv=True)
    fused = [m for name, m in shot.build.denoiser.named_modules() if name.endswith("to_qkv")]
    assert len(fused) == 6
    assert sum(quantization.quantised(layer).total() for layer in fused) == 6
    assert shot.applied("fused_qkv") and shot.applied("quantize")


def test_eight_bit_weights_may_move_between_calls():
    module = torch.nn.Sequential(torch.nn.Linear(64, 32))
    x = torch.randn(2, 3, 64)
    with torch.no_grad():
        expected = module(x)
        quantization.quantise(module, "bnb-int8", torch.float32, "cpu")
        first = module(x)
        module[0].weight.data = module[0].weight.data.clone()  # what an offload does
        assert torch.equal(module(x), first)
    assert module[0].state.CB.data_ptr() == module[0].weight.data_ptr()
    assert (first - expected).abs().max() < 0.05


def test_stored_bytes_have_the_scales():
    sizes = {}
    for method in ("none", "bnb-int8", "bnb-nf4", "torchao-int8wo"):
        made = torch.nn.Sequential(torch.nn.Linear(256, 256, bias=False))
        if method != "none":
            quantization.quantise(made, method, torch.float32, "cpu")
        sizes[method] = probes.weights_bytes({"made": made})
    assert sizes["none"] == 4 * 256 * 256
    assert sizes["bnb-int8"] == sizes["torchao-int8wo"] == 256 * 256 + 4 * 256
    blocks = 256 * 256 // 64  # a byte each, scaled once more by 256; and the tables of both codes
    assert sizes["bnb-nf4"] == 256 * 256 // 2 + blocks + 4 * (blocks // 256 + 16 + 256)


def test_missing(monkeypatch):
    assert "CUDA device" in settings.missing(trial("flux-schnell", quantize="torchao-fp8dyn").settings)
    monkeypatch.setattr(quantize.importlib.util, "find_spec", lambda name: None)
    assert (
        quantize.missing("bnb-nf4", "cpu") == "the package bitsandbytes is not installed (uv pip install bitsandbytes)"
    )
    assert quantize.missing("torchao-int8wo", "cpu").startswith("the package torchao is not installed (uv pip install ")
    assert quantize.missing("fp8-layerwise", "cpu") == quantize.missing("none", "cpu") == ""


def test_up_to_the_float8_product_that_needs_a_gpu():
    made, _ = build("flux-schnell")
    with pytest.raises(AssertionError, match=r"compute capability .8\.9"):
        quantization.quantise(made.denoiser, "torchao-fp8dyn", torch.float32, "cpu")


def test_a_layer_whose_scale_torchao_would_misread_stays_as_it_is():
    square = torch.nn.Sequential(torch.nn.Linear(128, 128))
    quantization.quantise(square, "torchao-fp8dyn", torch.float32, "cpu")
    assert not quantization.quantised(square)


def test_fresh_build():
    assert fresh_is_untouched("objectclear", "flux-schnell")
    made, planned = build("objectclear")
    assert not quantization.quantised(shoot(made, planned).build.denoiser)
