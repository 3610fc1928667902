"""torch.compile on the denoiser: in place, seen by the witness, counted by Dynamo. One test compiles for real."""

import helpers
import pytest
import torch
import torch._inductor.config as inductor
from toggling import baseline, build, fresh_is_untouched, run, shoot, short, tolerance, trial

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.metrics import paying_off, preparation
from mic2e_bench.catalog.toggles import compile as compile_toggle
from mic2e_bench.catalog.toggles.backends import compiling
from mic2e_bench.plan import conflicts


@pytest.fixture(autouse=True)
def fresh_compiler(tmp_path, monkeypatch):
    """In a study each build has a process of its own; here the next test gets Dynamo as it was."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    yield
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    torch._dynamo.utils.clear_compilation_metrics()


@pytest.fixture
def eager(monkeypatch):
    """Dynamo traces and guards as ever, and runs what it traced without Inductor."""
    monkeypatch.setattr(compiling, "BACKEND", "eager")


def refused(name, **settings):
    return conflicts.find(trial(name, **settings).settings, registry.pipeline(name))


def one_block_of_flux(**settings):
    made, planned = build("flux-schnell", **settings)
    made.denoiser.transformer_blocks = torch.nn.ModuleList()
    made.denoiser.single_transformer_blocks = made.denoiser.single_transformer_blocks[:1]
    return shoot(made, planned)


def test_regional_with_inductor_and_its_cold_cache():
    # Inductor would try each of the processor's vector instruction sets with a program of its own, which takes 20 s
    with inductor.patch("cpp.vec_isa_ok", False):
        shot = one_block_of_flux(compile="regional")
    receipt = shot.receipts["compile"]
    assert [key for key in shot.receipts if not shot.applied(key)] == []
    assert receipt["how"].startswith("1 modules compiled in place; in this trial: 1 graphs compiled, 0 graph breaks")
    assert "Inductor cache cold: 0 hits" in receipt["how"]
    assert shot.off_by(one_block_of_flux()) <= tolerance("compile")


def test_whole_denoiser_recompiles_for_a_new_size_and_not_for_the_witness(eager):
    made, planned = short("flux-schnell", compile="default")
    first, again = shoot(made, planned), shoot(made, planned)
    larger = shoot(made, trial("flux-schnell", compile="default", resolution=96))
    how = [shot.receipts["compile"]["how"].partition("in this trial: ")[2] for shot in (first, again, larger)]
    assert how[0] == "1 graphs compiled, 0 graph breaks; 0 recompilations"
    assert how[1] == "0 graphs compiled, 0 graph breaks; 0 recompilations"
    assert "1 graphs compiled, 0 graph breaks; 1 recompilations; first because" in how[2]
    assert len(again.build.witness.denoiser) == 2  # steps, seen through the compiled call
    assert first.receipts["compile"]["seen"] == "default"
    assert first.off_by(shoot(*short("flux-schnell"))) <= tolerance("compile")


def test_objectclear_in_one_graph_with_fusion_on(eager):
    shot = shoot(*short("objectclear", compile="default", compile_fullgraph=True, compile_dynamic=False))
    assert [key for key in shot.receipts if not shot.applied(key)] == []
    assert shot.receipts["compile_fullgraph"]["how"].endswith("0 graph breaks in this trial")
    assert shot.receipts["compile_dynamic"]["seen"] is False
    assert shot.off_by(shoot(*short("objectclear"))) <= tolerance("compile")
    assert shot.build.pipe.config.apply_attention_guided_fusion


def test_objectclear_regional_while_guidance_stops(eager):
    settings = {"guidance_stop": 0.5, "steps": 2}
    shot = shoot(*short("objectclear", compile="regional", **settings))
    assert [key for key in shot.receipts if not shot.applied(key)] == []
    assert shot.off_by(shoot(*short("objectclear", **settings))) <= tolerance("compile")


@pytest.mark.parametrize("name", ("sdxl-inpaint", "sam3"))
@pytest.mark.parametrize("mode", ("default", "reduce-overhead", "max-autotune"))
def test_the_mode_is_read_from_the_compiler(name, mode):
    made, _ = build(name, compile=mode, compile_dynamic=True)
    assert compiling.mode_of(made.denoiser) == mode
    assert len(compiling.compiled_modules(made.denoiser.modules())) == 1
    assert [module for module in made.modules().values() if module._compiled_call_impl] == [made.denoiser]


def test_a_wrapper_that_compiled_nothing_is_not_in_force():
    made, _ = build("sdxl-inpaint", compile="default")
    seen = compile_toggle.observe(made, "default")
    assert (seen.value, seen.reason) == ("none", "the wrapper is there, but no graph was compiled")


def test_cuda_graphs_are_said_to_be_skipped_on_a_cpu(monkeypatch):
    monkeypatch.setattr(compiling, "graphs_in_process", lambda: 1)
    for mode, seen in (("reduce-overhead", "default"), ("max-autotune", "max-autotune")):
        made, _ = build("sdxl-inpaint", compile=mode)
        found = compile_toggle.observe(made, mode)
        assert found.value == seen
        assert "CUDA graphs skipped: the denoiser runs on a CPU" in found.how


@pytest.mark.parametrize("recorded, seen", [(0, "default"), (3, "reduce-overhead")])
def test_cuda_graphs_are_in_force_only_where_one_was_recorded(monkeypatch, recorded, seen):
    monkeypatch.setattr(compiling, "graphs_in_process", lambda: 1)
    made, _ = build("sdxl-inpaint", compile="reduce-overhead")
    made.device = "cuda"
    made.notes["compile"]["prepared"]["CUDAGRAPH_RECORDING"] = recorded
    found = compile_toggle.observe(made, "reduce-overhead")
    assert found.value == seen and found.how.endswith(f"CUDA graphs recorded {recorded} times, skipped 0 times")
    assert bool(found.reason) == (seen == "default")


def test_settings_of_the_compiler_without_it_change_nothing():
    shot = run("flux-schnell", compile_fullgraph=True, compile_dynamic=True, compile_cache="kept")
    reasons = {key: found["reason"] for key, found in shot.receipts.items() if not found["applied"]}
    assert reasons == dict.fromkeys(("compile_fullgraph", "compile_dynamic"), "nothing is compiled: it needs compile")
    assert shot.off_by(baseline("flux-schnell")) == 0


def test_caches(tmp_path):
    (tmp_path / "999999999").mkdir()
    (tmp_path / "kept").mkdir()
    mine = compiling.cache_folder(tmp_path, "fresh")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]  # that of an ended process is gone
    assert mine != compiling.cache_folder(tmp_path, "kept") == str(tmp_path / "kept")


def test_collisions():
    assert "no repeated blocks" in refused("sam3", compile="regional")
    full = {"compile": "default", "compile_fullgraph": True}
    assert "breaks the graph" in refused("sam3", **full)
    assert "breaks the graph" in refused("flux-schnell", step_cache="pab:2", **full)
    assert "breaks the graph" in refused("objectclear", quantize="bnb-int8", **full)
    assert not refused("objectclear", attention="sliced:1", **full)
    for wrong in ("fast", True, None):
        with pytest.raises(ValueError, match="one of none, default"):
            compile_toggle.COMPILE.parse(wrong, None)


def test_a_cache_that_decides_in_python_breaks_the_graph(eager):
    with pytest.raises(torch._dynamo.exc.Unsupported):
        run("flux-schnell", compile="regional", compile_fullgraph=True, step_cache="first-block:0.5")


def record(first, *latency, warmup=1, batch=1, **settings):
    timing = {"first_call_s": first, "warmup_s": [first] * warmup, "latency_s": list(latency)}
    return helpers.made_up(timing, {"batch": batch, **settings})


def test_what_compiling_cost_and_when_it_has_paid_off():
    plain, compiled = record(2.5, 2.0, 2.0), record(31.0, 1.0, 1.0, compile="default")
    assert preparation.compile_seconds(plain) is None
    assert preparation.compile_seconds(compiled) == 30.0
    assert paying_off.break_even_images(compiled, plain) == 30  # 29.5 s more at first, 1 s less for each
    assert paying_off.break_even_images(plain, compiled) is None
    two = record(31.0, 2.0, batch=2, compile="default")
    assert paying_off.break_even_images(two, plain) == 29
    assert preparation.compile_seconds(record(9.0, 9.0, 1.0, warmup=0, engine="onnxruntime-cpu")) == 8.0
    assert paying_off.break_even_images(record(9.0, 9.0, warmup=0, compile="default"), plain) is None


@pytest.mark.gpu
@pytest.mark.parametrize("name", ("objectclear", "z-image-turbo"))
def test_cuda_graphs(name):
    half = {"device": "cuda", "precision": "bf16"}
    shot = run(name, compile="reduce-overhead", **half)
    assert shot.receipts["compile"]["seen"] == "reduce-overhead", shot.receipts["compile"]
    assert shot.differs(baseline(name, **half)) < 0.03


def test_fresh_build():
    assert fresh_is_untouched("flux-schnell", "objectclear")
