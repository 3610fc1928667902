"""What is read of a device's memory, and when, on counters that stand in for those of ``torch.cuda``."""

from dataclasses import replace
from types import SimpleNamespace

import helpers
import pytest
import toggling
import torch

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import random
from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.catalog.toggles import memory_fraction
from mic2e_bench.machine import probes
from mic2e_bench.plan import conflicts
from mic2e_bench.run import failures, measure

GIB = 2**30


class Card:
    """PyTorch's caching allocator as far as it is read here: it keeps what is freed until it is emptied."""

    def __init__(self, total=80 * GIB):
        self.total, self.allocated, self.reserved, self.done = total, 0, 0, []
        self.reset()

    def take(self, size):
        self.allocated += size
        self.reserved = max(self.reserved, self.allocated)
        self.most_allocated = max(self.most_allocated, self.allocated)
        self.most_reserved = max(self.most_reserved, self.reserved)

    def give_back(self, size):
        self.allocated -= size

    def empty(self):
        self.done.append("empty")
        self.reserved = self.allocated

    def reset(self):
        self.done.append("reset")
        self.most_allocated, self.most_reserved = self.allocated, self.reserved


@pytest.fixture
def card(monkeypatch):
    """Such a card behind ``torch.cuda``."""
    made = Card()
    for name, answer in {
        "synchronize": lambda: None,
        "empty_cache": made.empty,
        "reset_peak_memory_stats": made.reset,
        "max_memory_allocated": lambda: made.most_allocated,
        "max_memory_reserved": lambda: made.most_reserved,
        "memory_reserved": lambda: made.reserved,
        "mem_get_info": lambda: (made.total - made.reserved, made.total),
        "get_device_properties": lambda device: SimpleNamespace(total_memory=made.total),
    }.items():
        monkeypatch.setattr(torch.cuda, name, answer)
    monkeypatch.setattr(probes, "process_device_bytes", lambda: made.reserved + GIB)
    return made


def test_the_peaks_of_a_trial_are_its_own(card):
    """After a larger trial of the same build, and after weights that were quantised on the device."""
    card.take(20 * GIB)
    card.give_back(15 * GIB)
    probes.start_afresh("cuda")
    with probes.memory("cuda", phase="encode") as peaks:
        card.take(3 * GIB)
        card.give_back(3 * GIB)
    assert peaks.vram_reserved_bytes == peaks.vram_allocated_bytes == 8 * GIB


def test_what_lies_beside_the_allocator_is_read_at_one_moment(card):
    """With an offload the allocator holds little at the end, and its peak has nothing to do with that."""
    with probes.memory("cuda", phase="denoise") as peaks:
        card.take(10 * GIB)
        card.give_back(9 * GIB)
        card.empty()
    assert peaks.vram_reserved_bytes == 10 * GIB and peaks.process_device_bytes == 2 * GIB
    assert peaks.beside_allocator_bytes == GIB
    assert probes.device_total("cuda") == {"device_total_bytes": 80 * GIB} and probes.device_total("cpu") == {}


def test_the_cache_is_emptied_before_the_warm_up_and_never_between_calls(card, monkeypatch):
    done, item = card.done, toggling.ITEM
    monkeypatch.setattr(measure, "timed_call", lambda *arguments: done.append("call") or {"latency_s": 1.0})
    monkeypatch.setattr(measure.inputs, "read", lambda given: [item])
    monkeypatch.setattr(measure.Shots, "take", lambda self, *args, **kw: self.images.append({}))
    monkeypatch.setattr(measure.Shots, "count_kernels", lambda self, *args: None)
    monkeypatch.setattr(measure.Shots, "round", lambda self, *args: None)
    made = Build(registry.pipeline("objectclear"), device="cuda")
    trial = helpers.study(helpers.tiny(vary=None, protocol={"warmup": 1, "repeats": 3})).baseline
    measure.measure(made, trial, None, lambda stage, share: None)
    assert done[1:] == ["empty", "reset", *["call"] * 4]


@pytest.mark.parametrize("value", [hundredth / 100 for hundredth in range(1, 100)] + [0.001, 0.083])
def test_a_share_that_pytorch_rounds_to_bytes_is_in_force(monkeypatch, value):
    total = 85_017_493_504  # of an H100; 29 hundredths are not the number that comes back
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda: int(value * total) / total)
    made = Build(registry.pipeline("objectclear"), device="cuda")
    assert memory_fraction.observe(made, value).applied
    assert not memory_fraction.observe(made, value + 0.001).applied


@pytest.mark.parametrize(
    ("settings", "kept_in_main_memory"),
    [({}, False), ({"offload": "model"}, True), ({"offload": "group"}, True), ({"quantize": "bnb-int8"}, True)],
)
def test_random_weights_are_made_on_the_device_and_begin_where_those_of_a_file_do(
    card, monkeypatch, settings, kept_in_main_memory
):
    made, moved = [], []

    def component(path, config, device, dtype):
        made.append(device)
        card.take(GIB)
        return SimpleNamespace(to=lambda place: moved.append(place) or card.give_back(GIB))

    monkeypatch.setattr(random, "component", component)
    pipeline = registry.pipeline("sdxl-inpaint")
    build = Build(pipeline, device="cuda", settings=settings, load={"dtype": torch.bfloat16})
    monkeypatch.setattr(random, "unweighted", lambda pipeline: {})
    build.pipeline = replace(pipeline, assemble=lambda parts, load: parts)
    parts = random.assemble(build)
    assert made == ["cuda"] * len(parts) == ["cuda"] * 4
    assert moved == ["cpu"] * 4 * kept_in_main_memory
    assert card.reserved == card.most_reserved == (0 if kept_in_main_memory else 4 * GIB)


# ---- running out of it


@pytest.mark.parametrize(
    ("text", "reserved", "status"),
    [
        ("CUDA out of memory. Tried to allocate 2.00 GiB", 0, "oom"),
        ("CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", 0, "oom"),
        ("NVML_SUCCESS == r INTERNAL ASSERT FAILED at CUDACachingAllocator.cpp:1131", 0, "oom"),
        ("GET was unable to find an engine to execute this computation", 79 * GIB, "oom"),
        ("GET was unable to find an engine to execute this computation", 2 * GIB, "error"),
        ("FIND was unable to find an engine", 39 * GIB, "oom"),  # of the half that PyTorch may take
        ("Unable to find a valid cuDNN algorithm to run convolution", 79 * GIB, "oom"),
        ("Unable to find a valid cuDNN algorithm to run convolution", GIB, "error"),
    ],
)
def test_the_words_of_a_device_without_memory(card, monkeypatch, text, reserved, status):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    share = 0.5 if reserved == 39 * GIB else 1.0
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda: share)
    card.take(reserved)
    assert failures.classify(RuntimeError(text)) == status


# ---- CUDA graphs


@pytest.mark.parametrize("mode", ("default", "regional", "reduce-overhead", "max-autotune"))
def test_what_keeps_a_steps_outputs_cannot_have_cuda_graphs(mode):
    graphs = mode in ("reduce-overhead", "max-autotune")

    def refused(name, **settings):
        trial = toggling.trial(name, compile=mode, **settings)
        on = [{**trial.settings, "device": device} for device in ("cuda", "cpu")]
        found, on_a_cpu = (conflicts.find(one, registry.pipeline(name)) or "" for one in on)
        assert "CUDA graph" not in on_a_cpu
        return "CUDA graph" in found

    assert refused("flux-schnell", step_cache="first-block:0.2") is graphs
    assert not refused("flux-schnell")
    assert refused("sdxl-inpaint", scheduler="pndm", guidance=1.0) is graphs
    assert refused("sdxl-inpaint", scheduler="pndm", guidance=5.0, guidance_stop=0.5) is graphs
    assert not refused("sdxl-inpaint", scheduler="pndm", guidance=5.0)
    assert not refused("sdxl-inpaint", scheduler="dpm++2m", guidance=1.0)
