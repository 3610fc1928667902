"""``fit``: an estimate of a GPU's memory from configurations alone, against real tensors and real records."""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import sys

import helpers
import pytest
import toggling
import torch

from mic2e_bench import units
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import sources
from mic2e_bench.catalog.watch import ENTRIES
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import probes
from mic2e_bench.plan.settings import resolve
from mic2e_bench.records import record
from mic2e_bench.run import assemble
from mic2e_bench.tools.fit import accuracy, cards, elsewhere, estimate, rehearsal, text, weight_bytes
from mic2e_bench.tools.fit.allocator import Allocator
from mic2e_bench.tools.fit.trace import Trace, Tracing

SIZE = toggling.SIZE


def bundled(name):
    pipeline = registry.pipeline(name)
    return pipeline, sources.resolve("bundled", pipeline, "test")


def peak(events):
    """The most bytes that were allocated at one time."""
    return max(itertools.accumulate((size for _, size in events), initial=0))


def counted(build):
    """Put a trace around every component of a live pipeline: the most bytes that lived in each of its calls."""
    peaks = []

    def put(name, module, entry):
        inner = getattr(module, entry)

        def call(*args, **kwargs):
            trace = Trace()
            for tensor in (*module.parameters(), *module.buffers()):
                trace.add(tensor, count=False)
            trace.add_all((args, kwargs))
            with Tracing(trace):
                result = inner(*args, **kwargs)
            peaks.append((f"{name}.{entry}", peak(trace.events)))
            return result

        setattr(module, entry, call)

    for name, module in build.modules().items():
        for entry in ENTRIES.get(name, ENTRIES[""]):
            put(name, module, entry)
    return peaks


def real_and_rehearsed(name, **settings):
    build, trial = toggling.build(name, **{"steps": 1, **settings})
    assemble.next_trial(build, trial)
    real = counted(build)
    with build.around():
        build.pipeline.call(build, toggling.ITEM, 1)
    done = rehearsal.rehearse(*bundled(name), trial.settings, SIZE, workspace=None)
    found = []
    for stage in done.stages:
        found.append((f"{stage.component}.{stage.entry}", peak(done.events[stage.start : stage.end])))
    return dict(real), dict(found)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("sdxl-inpaint", {"precision": "bf16", "attention": "math", "guidance": 4.0}),
        ("objectclear", {"attention": "sliced:1", "batch": 2, "vae_slicing": True}),
        ("flux-schnell", {"resolution": 128, "vae_tiling": 64}),
        ("z-image-turbo", {"guidance": 2.0, "attention": "math"}),
    ],
)
def test_a_rehearsed_call_holds_what_the_real_one_holds(name, settings):
    """Peak live bytes of every component's call, on real tensors and on tensors without memory."""
    real, rehearsed = real_and_rehearsed(name, **settings)
    assert list(real) == list(rehearsed)
    for stage, size in real.items():
        assert rehearsed[stage] == pytest.approx(size, rel=0.002), stage


def test_a_segmenter_can_be_rehearsed():
    for settings in ({}, {"batch": 2, "prompt_kind": "points"}):
        build, trial = toggling.build("sam3", **settings)
        done = rehearsal.rehearse(*bundled("sam3"), trial.settings, SIZE)
        assert [stage.component for stage in done.stages] == ["model"]
        assert sum(done.weights.values()) == probes.weights_bytes(build.modules())
        with build.around():  # nothing without memory stays behind, in what the library keeps for the process
            assert build.pipeline.call(build, toggling.ITEM, 1)


# where the library quantises on a CPU
METHODS = ("bnb-int8", "bnb-nf4", "torchao-int8wo", "torchao-int8dyn", "torchao-fp8wo", "fp8-layerwise")
WEIGHTS = [(name, {"precision": precision}) for name in registry.pipelines() for precision in ("fp32", "bf16")]
WEIGHTS += [("flux-schnell", {"precision": "fp16"})]  # T5 keeps a product in float32 then
WEIGHTS += [("flux-schnell", {"precision": "bf16", "quantize": method, "quantize_parts": "both"}) for method in METHODS]
WEIGHTS += [("objectclear", {"fused_qkv": True}), ("sam3", {"prompt_kind": "box"})]


@pytest.mark.parametrize(("name", "settings"), WEIGHTS)
def test_weights_are_within_one_percent(name, settings):
    """Of what is really loaded and stored, from the configuration alone."""
    build, trial = toggling.build(name, **settings)
    _, model = bundled(name)
    found = accuracy.weights(name, json.dumps(model, sort_keys=True), json.dumps(dict(trial.settings), sort_keys=True))
    assert found == pytest.approx(probes.weights_bytes(build.modules()), rel=0.01)


def test_published_sizes_are_those_of_the_published_files():
    """Parameters of the denoisers as their hub pages and weight files give them."""
    published = {"sdxl-inpaint": 2_567_478_084, "flux-schnell": 11_891_178_560}  # SDXL with 5 more input channels
    for name, count in published.items():
        pipeline = registry.pipeline(name)
        build, _ = rehearsal.made(pipeline, {"source": "random"}, {"precision": "bf16"})
        assert sum(p.numel() for p in build.denoiser.parameters()) == count


def estimated(name="sdxl-inpaint", **settings):
    pipeline, model = bundled(name)
    settings = resolve({"device": "cuda", "resolution": 256, **settings}, pipeline, "test")
    return estimate.estimate(pipeline, model, settings)


def test_what_saves_memory_saves_it_in_the_estimate():
    plain = estimated()
    assert sum(plain.weights.values()) < plain.allocated <= plain.reserved < plain.on_card
    model, sequential = estimated(offload="model"), estimated(offload="sequential")
    assert sequential.allocated < model.allocated < plain.allocated
    assert estimated(resolution=128, vae_tiling=64).allocated < estimated(resolution=128).allocated
    assert dict(estimated(attention="math").stages)["unet"] > dict(plain.stages)["unet"]
    assert estimated(precision="bf16").allocated < plain.allocated
    assert estimated(batch=4).allocated > plain.allocated
    assert estimated(channels_last="vae").allocated < plain.allocated  # no copies for the convolutions
    nf4 = estimated("flux-schnell", quantize="bnb-nf4")
    assert sum(nf4.weights.values()) < sum(estimated("flux-schnell").weights.values())
    assert estimated(expandable_segments=True).reserved == plain.allocated
    assert estimated(steps=7, scheduler="ddim").allocated == estimated(steps=3).allocated  # one rehearsal for both


def test_a_component_leaves_when_the_next_one_is_loaded():
    """Model offload: the UNet and the VAE are on the device together, text encoders are not."""
    done = estimated(offload="model")
    weights = done.weights
    stages = dict(done.stages)
    assert stages["text_encoder"] < weights["text_encoder"] + weights["unet"]
    assert stages["unet"] > weights["unet"] + weights["vae"]


def test_loading_has_a_peak_of_its_own():
    """The weights are placed one after the other; an offload has none there, but what bitsandbytes made on the card."""
    plain = estimated()
    assert plain.loading.allocated == pytest.approx(sum(plain.weights.values()), rel=0.05)
    assert plain.on(plain.on_card).decided_by == "call"
    assert estimated(offload="model").loading.allocated == 0
    placed, away = (estimated("flux-schnell", quantize="bnb-nf4", offload=offload) for offload in ("none", "model"))
    largest = placed.rehearsed.events[0][1]  # in full, beside what becomes of it
    assert largest > 0 and away.loading.allocated < placed.loading.allocated < placed.allocated
    assert 0 < away.loading.allocated < away.weights["transformer"] + MIB


def test_a_card_must_hold_loading_as_well():
    """Loading takes 100 MiB, a call 40 beside what it keeps of that."""
    events = [("whole", 100 * MIB), ("kept", 20 * MIB), ("whole", -100 * MIB), ("made", 20 * MIB), ("made", -20 * MIB)]
    done = dataclasses.replace(estimated().rehearsed, events=events, loaded=3)
    loading, call = estimate.Peak(120 * MIB, 120 * MIB), estimate.Peak(72 * MIB, 72 * MIB)
    made = dataclasses.replace(estimated(), rehearsed=done, loading=loading, allocated=call[0], reserved=call[1])
    assert made.on_card == 120 * MIB + estimate.CONTEXT
    assert made.on(made.on_card + MIB) == estimate.Fit("yes", MIB, "loading")
    assert made.on(made.on_card - MIB) == estimate.Fit("no", -MIB, "loading")


def test_a_configuration_of_the_libraries_quantises_less():
    """T5 keeps a product in float32, and the scales of nf4 are not quantised again: more than in place."""
    pipeline, model = bundled("flux-schnell")
    asked = {"quantize": "bnb-nf4", "quantize_parts": "both", "precision": "bf16"}
    inside, by_config = (rehearsal.made(pipeline, model, asked, one) for one in (elsewhere.HERE, elsewhere.CONFIGURED))
    build, quantised = by_config
    kept = [layer for name, layer in build.modules()["text_encoder_2"].named_modules() if name.endswith(".wo")]
    assert kept and all(layer.weight.dtype == torch.float32 and layer not in quantised for layer in kept)
    sizes = [sum(weight_bytes.weights_bytes(build.modules(), layers).values()) for build, layers in (inside, by_config)]
    assert sizes[0] < sizes[1]
    assert len(quantised) == len(inside[1])  # nf4 leaves that product alone in place, too, in bf16


def test_what_is_not_modelled_is_named():
    assert estimated().not_modelled == ()
    (note,) = estimated(compile="default").not_modelled
    assert note.startswith("torch.compile")
    assert estimated(engine="onnxruntime-cuda").allocated > estimated().allocated
    with pytest.raises(BadInput, match="computes in fp16 and bf16 only"):
        estimated(attention="flash")


MIB = 1 << 20


def test_the_allocator_follows_the_rules_of_its_source():
    one = Allocator()
    small = one.take(100)
    assert (one.reserved, one.allocated) == (2 * MIB, 512)  # a small segment, rounded up to 512 bytes
    medium = one.take(3 * MIB)
    assert (one.reserved, one.allocated) == (22 * MIB, 3 * MIB + 512)  # a segment of 20 MiB, split
    one.take(16 * MIB)
    assert one.reserved == 22 * MIB  # the rest of it
    one.take(11 * MIB + 1)
    assert one.reserved == 34 * MIB  # its own segment, whole 2 MiB
    one.give_back(medium)
    one.give_back(small)
    one.empty_cache()
    assert one.reserved == 32 * MIB  # the small segment went, the others are in use
    assert one.take(2 * MIB) and one.reserved == 32 * MIB  # the freed part is used again
    assert one.most_reserved == 34 * MIB


def test_the_allocator_takes_the_best_fit_and_merges_neighbours():
    one = Allocator()
    blocks = [one.take(size * MIB) for size in (40, 30, 20)]
    for block in blocks:
        one.give_back(block)
    assert one.take(25 * MIB).size == 25 * MIB and one.reserved == 90 * MIB  # from the 30, not the 40
    assert one.take(4 * MIB).size == 5 * MIB and one.reserved == 90 * MIB  # the rest of it; 1 MiB is not split off
    a, b = one.take(10 * MIB), one.take(10 * MIB)  # halves of the 20
    one.give_back(a)
    one.give_back(b)
    assert one.take(20 * MIB) and one.reserved == 90 * MIB  # whole again


def test_the_allocator_gives_its_cache_back_before_it_fails():
    one = Allocator(capacity=100 * MIB)
    one.give_back(one.take(60 * MIB))
    one.take(80 * MIB)
    assert (one.reserved, one.failed) == (80 * MIB, False)
    one.take(40 * MIB)
    assert one.failed


def test_a_verdict_knows_cached_memory():
    made = estimated()
    assert made.on(made.on_card).fits == "yes"
    assert made.on(made.on_card - 1).fits in ("tight", "no")
    assert made.on(made.allocated + estimate.CONTEXT - MIB).fits == "no"
    assert made.on(made.on_card + MIB).spare == MIB


def test_a_share_of_a_card_leaves_the_context_beside_it():
    """PyTorch's share is of the whole card; the context takes its part only where the share leaves too little."""
    made = estimated(memory_fraction=0.05)
    assert made.on(20 * made.reserved).fits == "yes"  # the rest of the card has room for the context
    assert made.on(20 * made.reserved - 20).fits != "yes"
    almost = estimated(memory_fraction=0.99)
    assert almost.on(made.on_card).fits == "yes" and almost.on(made.on_card - MIB).fits != "yes"


def test_the_workspace_is_that_of_the_card():
    made = estimated()
    hopper, older = cards.workspace("NVIDIA H100 80GB HBM3"), cards.workspace("NVIDIA A100-SXM4-80GB")
    assert (hopper, older) == (32 * MIB, 8320 * 1024) and cards.workspace("a card with 10GiB") == hopper
    assert {cards.workspace(name) for name in ("RTX 3080", "NVIDIA A10G", "Tesla T4", "NVIDIA L4")} == {older}
    assert made.peaks(hopper) == (made.allocated, made.reserved)
    allocated, reserved = made.peaks(older)
    assert abs(made.allocated - hopper + older - allocated) < MIB and reserved <= made.reserved


@pytest.mark.parametrize(
    ("given", "card"),
    [("RTX 3080", "RTX 3080"), ("rtx3090", "RTX 3090"), ("NVIDIA GeForce RTX 4090", "RTX 4090"), ("h200", "H200"),
     ("A100-80GB", "A100 80GB"), ("Tesla T4", "T4")],
)  # fmt: skip
def test_cards_by_the_names_they_go_by(given, card):
    assert cards.memory(given) == (card, cards.CARDS[card] * units.GIB)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sdxl-inpaint", "--gpu", "RTX 3070"], "unknown card 'RTX 3070'. Nearest: 'RTX 3080'."),
        (["sdxl-inpaint", "--gpu", "RTX 3070"], "--vram 10GiB"),
        (["sdxl-inpaint", "--gpu", "A100"], "'A100' is one of A100 40GB, A100 80GB"),
        (["sdxl-inpaint", "--vram", "10"], "'10' has no unit"),
        (["sdxl-inpain"], "unknown pipeline 'sdxl-inpain'. Did you mean 'sdxl-inpaint'?"),
        (["sdxl-inpaint", "--settings", "precison=bf16"], "unknown setting 'precison'. Did you mean 'precision'?"),
        (["sdxl-inpaint", "--settings", "precision"], "write key=value"),
        (["sdxl-inpaint", "--preset", "SDXL_30_STEP"], "unknown preset 'SDXL_30_STEP'. Did you mean 'SDXL_30_STEPS'?"),
        (["sdxl-inpaint", "--image", "big"], "'big' is not a size such as 1024x768"),
        (["sdxl-inpaint", "--model", "owner/other"], "its configuration is not here"),
        (["sdxl-inpaint", "--settings", "attention=flash"], "computes in fp16 and bf16 only"),
    ],
)
def test_what_cannot_be_asked_is_one_line(capsys, tmp_path, arguments, said):
    assert said in helpers.refusal(capsys, "fit", *arguments, "--results", tmp_path)


def test_the_command_answers_for_a_card(capsys, tmp_path):
    asked = ("fit", "sdxl-inpaint", "--model", "bundled", "--settings", "resolution=256", "--results", tmp_path)
    code, out, _ = helpers.command(capsys, *asked, "--gpu", "T4")
    assert code == 0
    for said in ("An ESTIMATE", "nothing measured", "T4", "SDXL_30_STEPS", "Assumed:", "bundled stand-in model",
                 "peak of loading", "peak of a call"):  # fmt: skip
        assert said in out
    assert "there is no record of this pipeline with a measured memory yet" in out
    code, out, _ = helpers.command(capsys, *asked, "--vram", "600MiB")
    assert code == 1 and "It does not fit a card with 600MiB" in out
    code, out, _ = helpers.command(capsys, *asked, "--json")
    found = json.loads(out)
    assert code == 0 and found["estimate"] is True and set(found["cards"]) == set(cards.CARDS)
    assert found["on_card_bytes"] == found["reserved_bytes"] + estimate.CONTEXT
    assert 0 < found["loading_bytes"]["allocated"] <= found["loading_bytes"]["reserved"] < found["reserved_bytes"]
    assert {card["decided_by"] for card in found["cards"].values()} == {"call"} and found["configured"] is None


def test_the_error_against_records_is_told(tmp_path):
    """Records with the weights of real builds; and a peak, of a record that says it was measured on a GPU."""
    study = helpers.study(helpers.tiny(vary=None, trials=[{"precision": "bf16", "quantize": "bnb-int8"}]))
    for trial in study.trials:
        build, _ = assemble.make_build(trial)
        memory = {"weights_bytes": probes.weights_bytes(build.modules()), "phases": {"load": {}}}
        stored = record.make(trial, "ok", timing={"latency_s": [1.0]}, memory=memory, environment={"host": "here"})
        record.write(tmp_path, stored)
    compared, left_out = accuracy.records(registry.pipeline("objectclear"), tmp_path)
    assert [one.of for one in compared] == ["weights"] * 2 and left_out == []
    assert all(abs(one.error) < 0.01 for one in compared)
    base = helpers.on_disk(tmp_path)["baseline"]
    path = tmp_path / "tiny" / f"{base['id']}.json"
    memory = {**base["memory"], "peak_vram_allocated_bytes": 60 * MIB, "peak_vram_reserved_bytes": 80 * MIB}
    memory["phases"]["load"]["vram_reserved_bytes"] = 30 * MIB
    helpers.rewrite(path, {**base, "memory": memory})
    compared, _ = accuracy.records(registry.pipeline("objectclear"), tmp_path)
    assert sorted(one.of for one in compared) == ["allocated", "loading", "reserved", "weights", "weights"]
    reserved = next(one for one in compared if one.of == "reserved")
    assert reserved.error == reserved.estimated / (80 * MIB) - 1
    said = text.errors(compared, left_out)
    assert "Error against measured records" in said and f"{reserved.error:+.2%}" in said
    other = {**base["trial"], "model": {"source": "bundled", "fingerprint": "0"}}
    helpers.rewrite(path, {**base, "trial": other})
    compared, left_out = accuracy.records(registry.pipeline("objectclear"), tmp_path)
    assert len(compared) == 1 and "other bundled weights" in left_out[0]


def test_importing_the_command_imports_no_torch():
    code = "import sys; from mic2e_bench.commands import export, fit; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
