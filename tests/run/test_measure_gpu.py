"""What only a CUDA device can show of measuring: its own clock, its memory by phase, its energy, the smallest card."""

import helpers
import pytest
import torch
from helpers import on_disk, tiny

from mic2e_bench.catalog.metrics import cost as metrics
from mic2e_bench.catalog.metrics import memory
from mic2e_bench.machine import probes
from mic2e_bench.machine.ceilings import ceilings
from mic2e_bench.tools import mincard

pytestmark = pytest.mark.gpu
BASE = {**tiny()["baseline"], "device": "cuda"}


def test_a_known_allocation_is_reported():
    size = 256 << 20
    with probes.memory("cuda", phase="encode") as peaks:
        peaks.phase("denoise")
        block = torch.empty(size, dtype=torch.uint8, device="cuda")
        del block
        peaks.phase("decode")
    before, during, after = (peaks.phases[name]["vram_allocated_bytes"] for name in ("encode", "denoise", "decode"))
    assert during - before == pytest.approx(size, rel=0.01)
    assert peaks.vram_reserved_bytes >= peaks.vram_allocated_bytes and peaks.device_bytes >= peaks.vram_reserved_bytes
    assert after - before < size / 2  # other tests of this process may hold memory


def test_both_clocks_see_the_devices_work():
    one = torch.randn(4096, 4096, device="cuda")
    one @ one
    with probes.clock("cuda") as elapsed:
        for _ in range(20):
            one @ one
    assert 0 < elapsed.device_seconds <= elapsed.seconds * 1.01
    assert elapsed.device_seconds == pytest.approx(elapsed.seconds, rel=0.2)


def test_a_record_of_a_gpu(tmp_path):
    helpers.run(tiny(baseline=BASE, vary=None, protocol={"warmup": 2, "repeats": 5, "cost": True}), tmp_path)
    one = on_disk(tmp_path)["baseline"]
    assert one["status"] == "ok" and len(one["timing"]["device_latency_s"]) == 5
    assert list(one["memory"]["phases"]) == ["load", "encode", "denoise", "decode"]
    assert one["memory"]["phases"]["load"]["vram_allocated_bytes"] >= one["memory"]["weights_bytes"]
    read = helpers.records(tmp_path)["baseline"]
    assert memory.fragmentation(read) >= 0 and 0 < metrics.flops_utilisation(read) < 1
    if probes.energy_j() is not None:
        assert len(one["timing"]["energy_j"]) == 5 and metrics.energy_per_image(read) >= 0


def test_the_ceilings_of_the_device():
    found = ceilings("cuda", "bfloat16")
    assert found["matmul_flops_per_s"] > 1e12 and found["copy_bytes_per_s"] > 1e11


def test_builds_take_turns_on_one_device(tmp_path):
    protocol = {"warmup": 1, "repeats": 3, "interleave": True}
    helpers.run(tiny(baseline=BASE, vary={"precision": ["fp32", "bf16"]}, protocol=protocol), tmp_path)
    records = on_disk(tmp_path).values()
    assert {one["status"] for one in records} == {"ok"} and len({one["timing"]["rounds"] for one in records}) == 1


def test_the_smallest_card(tmp_path):
    (found,) = mincard.of_study(helpers.study(tiny(baseline=BASE, vary=None)), tmp_path)
    assert 0 < found.fraction < 0.5
