"""Offloads: hooks on real classes with the CPU in the accelerator's place, and what becomes of quantised weights."""

import pytest
import torch
from toggling import DIFFUSERS, baseline, build, fresh_is_untouched, shoot, trial

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import load
from mic2e_bench.catalog.toggles import offload
from mic2e_bench.catalog.toggles.backends import quantization
from mic2e_bench.errors import Unavailable
from mic2e_bench.plan import conflicts, settings


@pytest.mark.parametrize("value", ("model", "sequential", "group"))
def test_offload_without_an_accelerator_is_known_before_loading(value, monkeypatch):
    monkeypatch.setattr(load, "load", None)
    with pytest.raises(Unavailable, match=f"^offload {value}: weights are moved"):
        build("objectclear", offload=value)
    assert settings.missing(trial("objectclear", offload=value).settings) == (
        f"offload {value}: weights are moved between main memory and an accelerator, and the device is cpu"
    )
    assert "offload" not in trial("sam3").settings


@pytest.mark.parametrize("name", DIFFUSERS)
@pytest.mark.parametrize("value", ("model", "group"))
def test_offload_from_cpu_to_cpu_has_its_hooks_and_is_not_called_one(name, value):
    made, planned = build(name)
    offload.install(made, value, "cpu")
    assert {kind for kind, _ in map(offload.hooks_of, made.modules().values())} == {value}
    shot = shoot(made, planned)
    seen = offload.OFFLOAD.observe(made, value)
    assert (seen.value, seen.applied, seen.reason) == ("none", False, "the hooks move weights from the CPU to the CPU")
    assert f"{len(made.modules())} of {len(made.modules())} components have hooks, to cpu" in seen.how
    assert shot.off_by(baseline(name)) == 0


@pytest.mark.parametrize("name", ("sdxl-inpaint", "z-image-turbo"))
def test_sequential_offload_up_to_the_call(name):
    made, _ = build(name)
    offload.install(made, "sequential", "cpu")
    assert {offload.hooks_of(module) for module in made.modules().values()} == {("sequential", "cpu")}
    assert {p.device.type for p in made.denoiser.parameters()} == {"meta"}


def test_offload_places_the_weights_itself(monkeypatch):
    installed = []
    monkeypatch.setattr(offload, "install", lambda made, value, device: installed.append((value, device)))
    monkeypatch.setattr(settings, "missing", lambda asked: "")
    made, planned = build("flux-schnell", offload="group")
    monkeypatch.setattr(made.pipe, "to", None)  # the device toggle must leave it alone
    registry.toggles()["device"].apply(made, "cpu")
    assert installed == [("group", "cpu")]
    shot = shoot(made, planned)
    assert shot.receipts["device"]["how"] == "where the denoiser's input was; the weights are offloaded"
    assert shot.applied("device")


@pytest.mark.parametrize("method", ("bnb-int8", "bnb-nf4", "torchao-int8dyn", "fp8-layerwise"))
@pytest.mark.parametrize("value", ("model", "sequential", "group"))
def test_quantised_weights_under_an_offload(method, value):
    asked = {**trial("flux-schnell", quantize=method).settings, "offload": value}
    refused = conflicts.find(asked, registry.pipeline("flux-schnell"))
    expected, found = _offloaded(method, "none"), None
    if refused:
        assert "empties the scales of 4-bit weights" in refused
        with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
            _offloaded(method, value)
    else:
        found = _offloaded(method, value)
        assert torch.equal(found, expected)
    assert bool(refused) == ((method, value) == ("bnb-nf4", "sequential"))


@torch.no_grad()
def _offloaded(method, value):
    """The output of two quantised layers under an offload whose accelerator is the CPU."""
    from accelerate import cpu_offload, cpu_offload_with_hook
    from diffusers.hooks import apply_group_offloading

    generator = torch.Generator().manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 64)).eval().requires_grad_(False)
    for parameter in module.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) / 8)
    quantization.quantise(module, method, torch.float32, "cpu")
    cpu = torch.device("cpu")
    if value == "model":
        cpu_offload_with_hook(module, cpu)
    elif value == "sequential":
        cpu_offload(module, cpu)
    elif value == "group":
        apply_group_offloading(module, cpu, offload_type="leaf_level")
    module(torch.ones(2, 64))
    return module(torch.ones(2, 64))


def test_fresh_build():
    assert fresh_is_untouched("sdxl-inpaint", "z-image-turbo")
