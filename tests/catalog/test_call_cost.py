"""What a call has to do: FLOPs against sums done by hand, bytes, the ceilings, and when nothing can be counted."""

import helpers
import pytest
import torch
from helpers import on_disk, tiny

from mic2e_bench.catalog import call_cost
from mic2e_bench.catalog.metrics import cost as metrics
from mic2e_bench.catalog.pipeline import Build, Item
from mic2e_bench.catalog.registry import pipeline
from mic2e_bench.catalog.witness import Witness
from mic2e_bench.machine.ceilings import ceilings
from mic2e_bench.run import assemble, measure, own_peaks, sampling, worker


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.drop = torch.nn.Linear(8, 32, bias=False), torch.nn.Dropout()
        self.conv = torch.nn.Conv2d(3, 4, 3, padding=1, bias=False)

    def forward(self, tokens, image):
        attended = torch.nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)
        return self.drop(self.first(attended)), self.conv(image)


@pytest.fixture
def small():
    """A build whose call runs one small module as the denoiser of SAM3."""
    whole = pipeline("sam3")
    module = Small().eval()
    call = lambda build, item, seed: module(torch.randn(1, 2, 5, 8), torch.randn(1, 3, 6, 6))  # noqa: E731
    build = Build(type(whole)(**{**vars(whole), "call": call}))
    build.pipe = type("Pipe", (), {"model": module})()
    build.witness = Witness(denoiser=[(1, "float32")])
    return build


def test_flops_are_those_of_the_formulas(small):
    with torch.inference_mode():
        found = call_cost.count(small, None, 0)
    attention = 2 * (2 * 2 * 5 * 5 * 8)  # two products for each of two heads
    linear, conv = 2 * (2 * 5) * 8 * 32, 2 * (6 * 6) * 4 * (3 * 3 * 3)
    assert found["flops"] == attention + linear + conv
    assert found["component_flops"] == {"model": found["flops"]}
    # weights, inputs and outputs of both layers; dropout passes on what it gets
    assert found["moved_bytes_estimate"] == 4 * ((8 * 32 + 80 + 320) + (3 * 4 * 9 + 108 + 144))
    assert not any(module._forward_hooks for module in small.denoiser.modules())


def test_what_the_counter_would_miss_is_not_counted(small):
    assert call_cost.why_not(small) == ""
    small.witness.attention["xformers_flash::flash_fwd"] = 4
    assert call_cost.why_not(small) == "the counter does not know xformers_flash::flash_fwd"
    small.witness.attention.clear()
    small.settings = {"quantize": "torchao-int8wo"}
    assert "torchao-int8wo" in call_cost.why_not(small)
    small.denoiser.compile(backend="eager")
    found = call_cost.of_call(small, None, 0)
    assert found["flops"] is None and found["reason"].startswith("compiled or exported code")
    assert found["ceilings"]["matmul_flops_per_s"] > 0


def test_the_ceilings_are_of_this_process():
    found = ceilings("cpu", "bfloat16")
    assert found["dtype"] == "bfloat16" and found["threads"] == torch.get_num_threads()
    assert found["matmul_flops_per_s"] > 1e6 and found["copy_bytes_per_s"] > 1e6
    assert ceilings("cpu", "float8_e4m3fn")["dtype"] == "bfloat16"


def test_it_is_counted_where_the_protocol_asks(tmp_path):
    helpers.run(tiny(protocol={**tiny()["protocol"], "cost": True}), tmp_path)
    one, two = (helpers.records(tmp_path)[label] for label in ("baseline", "steps=2"))
    parts = one.cost["component_flops"]
    assert not one.cost["reason"] and one.cost["flops"] > 1e8
    assert sum(parts.values()) == pytest.approx(one.cost["flops"], rel=0.01)  # a little is done outside of them
    # one more step: the denoiser's work twice, all else as before
    assert two.cost["component_flops"] == {**parts, "unet": 2 * parts["unet"]}
    assert 0 < metrics.flops_utilisation(one) < 1.5 and metrics.bandwidth_utilisation(one) > 0
    assert metrics.flops_per_s(one) == pytest.approx(one.cost["flops"] / metrics.quartiles(one.latency_s)[1])
    assert metrics.energy_per_image(one) is None  # no device that counts it
    plain = tiny(study="plain", vary=None)
    helpers.run(plain, tmp_path)
    assert "cost" not in on_disk(tmp_path, "plain")["baseline"]
    assert metrics.flops_per_s(helpers.records(tmp_path, "plain")["baseline"]) is None


def test_energy_is_spread_over_images():
    one = helpers.made_up({"latency_s": [1.0, 1.0], "energy_j": [30.0, 50.0]}, {"batch": 4})
    assert metrics.energy_per_image(one) == 10


def test_energy_and_the_devices_own_clock_are_sampled_with_each_call(monkeypatch):
    """With a stand-in for the device: what is asked of it, in which order."""
    journal, joules = [], iter((100.0, 107.5))

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            journal.append("event")

        def elapsed_time(self, other):
            return 1500.0  # milliseconds

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: journal.append("synchronise"))
    monkeypatch.setattr(measure.probes, "energy_j", lambda: next(joules))
    whole = pipeline("sam3")
    build = Build(type(whole)(**{**vars(whole), "call": lambda *given: journal.append("call") or []}), device="cuda")
    call = measure.timed_call(build, Item("one"), 0)
    assert journal == ["synchronise", "event", "call", "event", "synchronise"]
    assert call["device_latency_s"] == 1.5 and call["energy_j"] == 7.5 and call["latency_s"] > 0
    samples = {"latency_s": [], "device_latency_s": [], "energy_j": []}
    sampling.add(samples, call)
    sampling.add(samples, {**call, "energy_j": None})
    assert samples["device_latency_s"] == [1.5, 1.5] and samples["energy_j"] == [7.5]


def test_the_worker_counts_after_the_receipts(tmp_path):
    """What the counter runs is not what the receipts tell of."""
    order, trial = [], helpers.study(tiny(protocol={"cost": True})).baseline

    class Pipe:
        def send(self, message):
            order.append(message[0])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker.signal, "signal", lambda *given: None)
        patch.setattr(
            assemble,
            "make_build",
            lambda trial: (Build(pipeline("sam3")), {"timing": {"load_s": 0.0}, "memory": {"phases": {}}}),
        )
        patch.setattr(assemble, "next_trial", lambda build, trial: None)
        patch.setattr(own_peaks.OwnPeaks, "of", lambda *given: {})
        patch.setattr(measure, "measure", lambda *given: order.append("measure") or {"timing": {}, "memory": {}})
        patch.setattr(assemble, "receipts", lambda *given: order.append("receipts") or {})
        patch.setattr(call_cost, "of_call", lambda *given: order.append("cost") or {})
        worker.main([trial], tmp_path, Pipe())
    assert [one for one in order if one != "stage"] == ["measure", "receipts", "cost", "done"]
