"""How a trial is measured: passes that share no call, raw samples, images by their content; clocks and memory."""

import contextlib
import time
from dataclasses import replace

import helpers
import numpy as np
import pytest
import torch
from helpers import tiny
from PIL import Image

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.kernels import attention_kernels
from mic2e_bench.catalog.watch import watch
from mic2e_bench.catalog.witness import Witness
from mic2e_bench.machine import probes
from mic2e_bench.run import assemble, measure


@pytest.fixture(scope="module")
def build():
    """A live bundled pipeline in this process."""
    made, loaded = assemble.make_build(helpers.study(tiny()).baseline)
    assert loaded["timing"]["load_s"] > 0 and loaded["memory"]["weights_bytes"] > 20e6
    return made


def measured(build, folder, is_baseline=False, **protocol):
    content = tiny(protocol={"warmup": 1, "repeats": 2, "seeds": [1, 2], **protocol})
    trial = helpers.study({**content, "baseline": {**content["baseline"], "steps": 3}}).baseline
    assert trial.is_baseline
    trial = replace(trial, is_baseline=is_baseline)
    assemble.next_trial(build, trial)
    stages = []
    parts = measure.measure(build, trial, folder, lambda stage, share: stages.append((stage, share)))
    return parts, stages, trial


def test_the_parts_of_a_record(build, tmp_path):
    parts, stages, trial = measured(build, tmp_path)
    timing = parts["timing"]
    assert len(timing["latency_s"]) == 2 and len(timing["warmup_s"]) == 1
    assert timing["first_call_s"] == timing["warmup_s"][0]
    assert timing["calls_s"] > sum(timing["latency_s"]) + sum(timing["warmup_s"])
    assert timing["ended_by"] == {"warmup": "count", "repeats": "count"} and timing["outliers"] == []
    assert timing["device_latency_s"] == timing["energy_j"] == []  # a CPU tells neither
    assert len(timing["step_s"]) == 2  # of three: what comes before the first step's end is no step's time
    assert len(timing["component_s"]["unet"]) == 3 and len(timing["component_s"]["vae.decode"]) == 1
    assert sum(map(sum, timing["component_s"].values())) <= timing["witnessed_s"] < timing["calls_s"]
    assert list(parts["memory"]["phases"]) == ["encode", "denoise", "decode"]
    peaks = [phase["rss_bytes"] for phase in parts["memory"]["phases"].values()]
    assert max(peaks) <= parts["memory"]["peak_rss_bytes"] and parts["invalid"] == []
    assert [stage for stage, _ in stages] == [
        "warm-up 1/1", "repeat 1/2", "repeat 2/2", "image in0 seed 1", "image in0 seed 2",
    ]  # fmt: skip
    assert [share for _, share in stages] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert [(image["input"], image["seed"]) for image in parts["images"]] == [("in0", 1), ("in0", 2)]
    assert parts["images"][0]["sha256"] != parts["images"][1]["sha256"]
    receipts = assemble.receipts(build, trial)
    assert receipts["steps"]["seen"] == 3 and all(receipt["applied"] for receipt in receipts.values())


def test_timed_calls_have_no_witness_and_no_callback(build, tmp_path, monkeypatch):
    pipeline, seen = registry.pipeline("objectclear"), []

    def call(build, item, seed):
        wrapped = "forward" in vars(build.denoiser)
        seen.append((wrapped, len(build.on_step)))
        return [Image.new("RGB", (8, 8), (seed, 0, 0))]

    monkeypatch.setattr(build, "pipeline", type(pipeline)(**{**vars(pipeline), "call": call}))
    measured(build, tmp_path)
    # then the memory pass: the first call with the witness, the last one with the count of kernels
    assert seen == [(False, 0)] * 3 + [(True, 1), (True, 0)]
    assert build.on_step == [] and "forward" not in vars(build.denoiser)


def test_a_baselines_first_picture_is_made_again_with_other_rounding(build, tmp_path):
    """After all else, and nothing that is measured knows of it."""
    parts, stages, _ = measured(build, tmp_path, is_baseline=True)
    first, second = parts["images"]
    assert list(first["floor"]) == ["ulp", "kernel", "batch"] and "floor" not in second
    pixels = [_pixels(tmp_path, each).astype(int) for each in (first, *first["floor"].values())]
    assert max(np.abs(other - pixels[0]).max() for other in pixels[1:]) <= 8  # of float32: hardly anything
    assert np.abs(_pixels(tmp_path, second).astype(int) - pixels[0]).max() > 8  # another seed is another picture
    assert len(stages) == 5 and len(parts["timing"]["latency_s"]) == 2
    assert "forward" not in vars(build.denoiser) and build.call["batch"] == 1 and len(build.witness.denoiser) == 3
    floor = {name: each["sha256"] for name, each in first["floor"].items()}
    again = measured(build, tmp_path, is_baseline=True)[0]["images"][0]["floor"]
    assert {name: each["sha256"] for name, each in again.items()} == floor


def test_a_kind_of_rounding_that_cannot_be_had_lacks(build, tmp_path, monkeypatch):
    def call(build, item, seed):
        return [helpers.picture((96, 80))]  # whatever the batch

    monkeypatch.setattr(build, "pipeline", replace(build.pipeline, call=call))
    parts, *_ = measured(build, tmp_path, is_baseline=True)
    assert list(parts["images"][0]["floor"]) == ["ulp", "kernel"] and parts["invalid"] == []


def _pixels(folder, stored):
    with Image.open(folder / stored["file"].removeprefix("images/")) as image:
        return np.asarray(image)


def test_a_call_that_fails_leaves_no_wrapper(build, tmp_path, monkeypatch):
    def call(build, item, seed):
        raise ArithmeticError

    pipeline = registry.pipeline("objectclear")
    monkeypatch.setattr(build, "pipeline", type(pipeline)(**{**vars(pipeline), "call": call}))
    with pytest.raises(ArithmeticError):
        measured(build, tmp_path, warmup=0)
    assert not {"forward", "encode", "decode"} & {*vars(build.denoiser), *vars(build.pipe.vae)}


def test_the_seed_decides_the_picture(build, tmp_path):
    one, again = (measured(build, tmp_path)[0]["images"] for _ in range(2))
    assert one == again
    assert len(list(tmp_path.iterdir())) == 2  # equal pictures are stored once


def test_pictures_are_stored_under_their_hash(tmp_path):
    picture = helpers.picture((64, 48))
    stored = measure.store(picture, tmp_path)
    assert stored == measure.store(picture.copy(), tmp_path)
    assert stored["file"].removeprefix("images/").startswith(stored["sha256"][:20])
    with Image.open(tmp_path / stored["file"].removeprefix("images/")) as read:
        assert read.tobytes() == picture.tobytes()


def test_the_clock_runs_to_the_end_of_the_block():
    with probes.clock("cpu") as elapsed:
        assert elapsed.seconds != elapsed.seconds  # not a number yet
        time.sleep(0.05)
    assert 0.05 <= elapsed.seconds < 5
    with contextlib.suppress(ArithmeticError), probes.clock("cpu") as elapsed:
        raise ArithmeticError
    assert elapsed.seconds < 1


def test_peak_memory_is_of_the_block_alone():
    size = 300 << 20
    with probes.memory("cpu") as outside:
        block = torch.ones(size // 4)
    del block
    with probes.memory("cpu") as inside:
        pass
    assert outside.rss_bytes - outside.rss_before_bytes == pytest.approx(size, rel=0.1)
    assert inside.rss_bytes < outside.rss_bytes - size / 2
    assert inside.vram_allocated_bytes is None and inside.device_bytes is None


def test_peaks_of_phases():
    size = 200 << 20
    with probes.memory("cpu", phase="encode") as peaks:
        peaks.phase("encode")
        peaks.phase("denoise")
        block = torch.ones(size // 4)
        del block
        peaks.phase("decode")
        peaks.phase("denoise")
    found = {name: phase["rss_bytes"] for name, phase in peaks.phases.items()}
    assert list(found) == ["encode", "denoise", "decode"]  # a phase that comes again keeps its larger peak
    assert found["denoise"] - peaks.rss_before_bytes == pytest.approx(size, rel=0.1)
    assert found["encode"] < found["denoise"] - size / 2 > found["decode"]
    assert peaks.rss_bytes == found["denoise"] and peaks.process_device_bytes is None


def test_peaks_of_a_device_by_phase(monkeypatch):
    """With a stand-in for the device: its counters are read and started anew at every change of phase."""
    state = {"held": 0, "resets": 0, "used": 1000}

    def reset():
        state.update(held=0, resets=state["resets"] + 1)

    for name, made in {
        "synchronize": lambda: None,
        "reset_peak_memory_stats": reset,
        "max_memory_allocated": lambda: state["held"],
        "max_memory_reserved": lambda: state["held"] + 24,
        "mem_get_info": lambda: (5000 - state["used"], 5000),
    }.items():
        monkeypatch.setattr(torch.cuda, name, made)
    monkeypatch.setattr(probes, "process_device_bytes", lambda: 700)
    with probes.memory("cuda", phase="encode") as peaks:
        state["held"] = 100
        peaks.phase("denoise")
        state.update(held=400, used=1500)
        peaks.phase("decode")
        state.update(held=300, used=1200)
    assert [phase["vram_allocated_bytes"] for phase in peaks.phases.values()] == [100, 400, 300]
    assert (peaks.vram_allocated_bytes, peaks.vram_reserved_bytes, peaks.device_bytes) == (400, 424, 1500)
    assert peaks.process_device_bytes == 700 and state["resets"] == 4


@pytest.mark.parametrize(
    "colour, reason",
    [
        ((0, 0, 0), "image in0 seed 1 is black; image in0 seed 2 is black"),
        ((9, 0, 0), "image in0 seed 1 is of one colour; image in0 seed 2 is of one colour"),
    ],
)
def test_what_is_no_picture_is_invalid(colour, reason, build, tmp_path, monkeypatch):
    def call(build, item, seed):
        return [Image.new("RGB", (8, 8), colour)]

    pipeline = registry.pipeline("objectclear")
    monkeypatch.setattr(build, "pipeline", type(pipeline)(**{**vars(pipeline), "call": call}))
    parts, *_ = measured(build, tmp_path)
    assert "; ".join(parts["invalid"]) == reason and {image["fault"] for image in parts["images"]} == {
        reason.split(" is ")[-1]
    }
    monkeypatch.setattr(build, "model", {"source": "random"})  # random weights paint no pictures anyway
    assert measured(build, tmp_path)[0]["invalid"] == []


def test_nan_is_seen_in_what_the_vae_decodes(build, tmp_path, monkeypatch):
    real = build.pipe.vae.decode

    def decode(*args, **kwargs):
        sample = real(*args, **kwargs)[0].clone()
        sample[..., 0, 0] = float("nan")  # a speck: the picture is not black
        return (sample,)

    monkeypatch.setattr(build.pipe.vae, "decode", decode)
    with pytest.warns(RuntimeWarning, match="invalid value"):
        parts, *_ = measured(build, tmp_path, seeds=[1])
    assert (
        parts["invalid"] == ["the VAE decoded NaN or infinity for image in0 seed 1"]
        and "fault" not in parts["images"][0]
    )


def test_an_empty_mask_is_an_answer(build, tmp_path, monkeypatch):
    empty = replace(build.pipeline, task="segmentation", call=lambda *given: [Image.new("L", (8, 8))])
    monkeypatch.setattr(build, "pipeline", empty)
    parts, *_ = measured(build, tmp_path, seeds=[1])
    assert parts["invalid"] == [] and len(parts["images"]) == 1 and "fault" not in parts["images"][0]


def test_kernels_are_counted_in_a_call_of_their_own(build, tmp_path, monkeypatch):
    calls, real = [], build.pipeline.call
    monkeypatch.setattr(build, "pipeline", replace(build.pipeline, call=lambda *a: calls.append(a) or real(*a)))
    parts, *_ = measured(build, tmp_path, seeds=[1])
    assert len(calls) == 1 + 2 + 1 + 1  # the only image's call has the clocks of the components
    assert build.witness.attention and len(build.witness.denoiser) == 3
    assert len(parts["timing"]["component_s"]["unet"]) == 3


def test_attention_kernels_are_counted():
    query = torch.randn(1, 2, 16, 8)
    sdpa = torch.nn.functional.scaled_dot_product_attention
    with attention_kernels(witness := Witness().attention):
        sdpa(query, query, query)
    assert witness["scaled_dot_product_attention"] == 1
    assert witness["_scaled_dot_product_flash_attention_for_cpu"] == 1
    with (
        torch.inference_mode(),
        torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
        attention_kernels(witness := Witness().attention),
    ):
        sdpa(query, query, query)
    assert witness["scaled_dot_product_attention"] == 1
    assert not witness["_scaled_dot_product_flash_attention_for_cpu"]


def test_a_witness_changes_nothing():
    layer, given = torch.nn.Linear(4, 4), torch.randn(3, 4)
    wanted = layer(given)
    with watch(Witness(), {"unet": layer}, "unet", lambda: None) as witness:
        assert torch.equal(layer(given), wanted)
    assert witness.denoiser == [(3, "float32")] and len(witness.component_s["unet"]) == 1
    assert "forward" not in vars(layer)
