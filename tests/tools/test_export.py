"""``export``: code that makes the record's image, YAML and JSON that read back, the service's fields."""

from __future__ import annotations

import ast
import json
import os
import runpy

import helpers
import pytest
import yaml

from mic2e_bench.catalog import registry
from mic2e_bench.plan import presets
from mic2e_bench.plan.settings import resolve
from mic2e_bench.run import forkserver
from mic2e_bench.tools.export import entries, python
from mic2e_bench.tools.export import find as export_find

# by pipeline: trials whose settings are plain library code, but for the last setting of some, which goes through apply
TRIALS = {
    "objectclear": [
        {"steps": 2, "guidance": 2.5, "attention": "sliced:1", "scheduler": "euler", "label": "sliced"},
        {"precision": "bf16", "channels_last": "both", "vae_tiling": 64, "batch": 2, "label": "bf16"},
    ],
    "sdxl-inpaint": [
        {"precision": "bf16", "guidance": 4.0, "scheduler": "dpm++2m-karras", "resample": "lanczos", "label": "bf16"},
        {"attention": "math", "fused_qkv": True, "guidance_stop": 0.5, "guidance": 3.0, "label": "apply"},
    ],
    "flux-schnell": [
        {
            "precision": "bf16",
            "grad_mode": "inference_mode",
            "step_cache": "taylorseer:2",
            "steps": 4,
            "label": "cached",
        }
    ],
    "z-image-turbo": [{"guidance": 1.0, "quantize": "torchao-int8wo", "batch": 2, "label": "apply"}],
    "sam3": [{"prompt_kind": "box", "precision": "bf16", "cache_clearing": "each_call", "label": "box"}],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def measured(results):
    """The records of ``TRIALS``, measured once, by pipeline and label."""
    found = {}
    for name, trials in TRIALS.items():
        small = {"threads": 1} if name == "sam3" else {"steps": 2, "resolution": 64, "threads": 1}
        content = helpers.tiny(study=name, pipeline=name, baseline=small, vary=None, trials=trials, metrics=[])
        helpers.run(content, results)
        found[name] = helpers.on_disk(results, name)
    return found


def export(results, record, **arguments):
    of = export_find.find(f"{record['study']}/{record['id']}", None, results)
    return of, python.snippet(of, **arguments)


def run_alone(text, folder):
    """Run a snippet in a process of its own, which has the libraries already (test_sixth_pipeline: one that has not).

    Returns the last line that it prints.
    """
    process, _ = forkserver.call(run_file, folder / "log", helpers.file(folder / "snippet.py", text))
    process.join(280)
    said = (folder / "log").read_text()
    assert process.exitcode == 0, said[-2000:]
    return said.splitlines()[-1]


def run_file(path, pipe):
    os.chdir(path.parent)
    runpy.run_path(path.name, run_name="__main__")


@pytest.mark.parametrize(("name", "label"), [(name, t["label"]) for name, trials in TRIALS.items() for t in trials])
def test_a_snippet_makes_the_image_of_its_record(measured, results, tmp_path, name, label):
    record = measured[name][label]
    assert record["status"] in ("ok", "not_applied"), record["reason"]
    _, text = export(results, record)
    assert ("mic2e_bench.apply" in text) == (label == "apply")
    assert run_alone(text, tmp_path) == "the image of the record"
    assert len(list(tmp_path.glob("picture-*.png"))) == record["trial"]["settings"]["batch"]


@pytest.mark.parametrize("write", [entries.as_yaml, entries.as_json])
def test_a_record_reads_back_to_the_same_settings(measured, results, tmp_path, write):
    for name, label in (("objectclear", "bf16"), ("flux-schnell", "cached"), ("sam3", "box")):
        record = measured[name][label]
        of, _ = export(results, record)
        pipeline = registry.pipeline(name)
        path = tmp_path / f"{name}.yaml"
        path.write_text(write(of))
        assert resolve(presets.read(path, pipeline, "test"), pipeline, "test") == record["trial"]["settings"]
        assert list(yaml.safe_load(path.read_text())) == [of.name]


@pytest.mark.parametrize("name", presets.load())
def test_every_preset_is_code_and_reads_back(name, tmp_path):
    of = export_find.find(name, None, tmp_path)
    path = tmp_path / "preset.yaml"
    for write in (entries.as_yaml, entries.as_json):
        path.write_text(write(of))
        for pipeline in of.settings:
            known = registry.pipeline(pipeline)
            assert presets.read(path, known, "test") == presets.settings_of(name, known, "test")
    for pipeline in of.settings:
        text = python.snippet(export_find.find(name, pipeline, tmp_path))
        ast.parse(text)
        assert registry.pipeline(pipeline).hub in text and max(map(len, text.splitlines())) <= 120


def test_every_value_of_every_toggle_is_code():
    """Whatever is asked, the file is Python, and a setting that changes something is in it."""
    values = {
        "attention": ("native", "math", "flash", "flash_attn_2", "xformers", "sliced:auto", "sliced:2"),
        "vae_tiling": (True, 256), "compile": ("default", "reduce-overhead", "regional"), "tf32": ("none", "all"),
        "offload": ("model", "sequential", "group"), "step_cache": ("first-block:0.1", "taylorseer:2", "pab:2"),
        "quantize": ("bnb-nf4", "fp8-layerwise"), "engine": ("onnxruntime-cuda",), "precision": ("fp16", "bf16"),
        "cudnn_benchmark": (True,), "fused_qkv": (True,), "grad_mode": ("inference_mode",), "guidance_stop": (0.5,),
        "expandable_segments": (True,), "memory_fraction": (0.5,), "cache_clearing": ("each_call",), "batch": (3,),
        "page_cache": ("cold",), "low_cpu_mem_usage": (False,), "threads": (1, "all"),
        "channels_last": ("denoiser",), "vae_slicing": (True,), "scheduler": ("default",), "quantize_parts": ("both",),
        "steps": (3,), "guidance": (3.0,), "resolution": (256,), "resample": ("nearest",), "prompt_kind": ("points",),
        "compile_fullgraph": (True,), "compile_dynamic": (True,), "compile_cache": ("kept",), "device": ("cuda",),
    }  # fmt: skip
    assert set(values) == set(registry.toggles())
    for name, pipeline in registry.pipelines().items():
        for setting, wanted in values.items():
            if setting in registry.toggles_of(pipeline):
                for value in wanted:
                    given = presets.read({setting: value}, pipeline, "test")
                    text = python.snippet(export_find.Chosen("TRY", "", {name: given}))
                    ast.parse(text)


def test_a_process_for_each_call_is_a_remark():
    given = presets.read({"process": "per_call", "memory_fraction": 0.5}, registry.pipeline("sdxl-inpaint"), "test")
    text = python.snippet(export_find.Chosen("TRY", "", {"sdxl-inpaint": given}))
    assert "# process per_call: run this file anew for every call\npipe = " in text
    assert "process" not in python.snippet(export_find.Chosen("TRY", "", {"sdxl-inpaint": {"process": "kept"}}))


def test_the_service_gets_its_own_fields(tmp_path):
    text = entries.as_mic2e(export_find.find("LOW_MEMORY", None, tmp_path))
    found = {}
    exec(text, found)
    fields = found["LOW_MEMORY"]
    assert fields == {
        "object_clear_num_inference_steps": 6,
        "object_clear_guidance_scale": 1.8,
        "object_clear_resolution": 320,
        "flux_num_inference_steps": 4,
        "flux_guidance_scale": 0.0,
        "flux_height": 512,
        "flux_width": 512,
        "enable_attention_slicing": True,
        "enable_xformers": True,
        "enable_model_cpu_offload": True,
        "enable_sequential_cpu_offload": False,
        "use_fp16": True,
        "use_8bit_quantization": False,
        "use_4bit_quantization": False,
        "low_cpu_mem_usage": True,
    }
    assert "# no field for objectclear's resample bilinear" in text
    assert "enable_model_cpu_offload is True, as objectclear has it; flux-schnell would have False" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["BALENCED"], "unknown preset 'BALENCED'. Did you mean 'BALANCED'?"),
        (["BALANCED"], "BALANCED speaks of flux-schnell, objectclear, sam3: choose one with --pipeline"),
        (["BALANCED", "--pipeline", "sdxl-inpaint"], "preset 'BALANCED' says nothing of sdxl-inpaint"),
        (["BALANCED", "--pipeline", "flux"], "unknown pipeline 'flux'. Did you mean 'flux-schnell'?"),
        (["SDXL_30_STEPS", "--as", "mic2e"], "speaks of sdxl-inpaint; the service's fields are of objectclear"),
        (["nosuchstudy/0000"], "unknown study 'nosuchstudy'"),
        (["nowhere.yaml"], "nowhere.yaml: cannot be read"),
    ],
)
def test_what_does_not_exist_is_one_line(capsys, tmp_path, arguments, said):
    assert said in helpers.refusal(capsys, "export", *arguments, "--results", tmp_path)


def test_what_a_record_does_not_have_is_one_line(capsys, measured, results):
    record = measured["objectclear"]["sliced"]
    where = f"objectclear/{record['id']}"
    assert "has no trial 'ffff'" in helpers.refusal(capsys, "export", "objectclear/ffff", "--results", results)
    assert "the record has no input 'in7'. It has: in0." in helpers.refusal(
        capsys, "export", where, "--input", "in7", "--results", results
    )
    path = results / "objectclear" / f"{record['id']}.json"
    stored = path.read_text()
    try:
        helpers.rewrite(path, {**record, "trial": {**record["trial"], "model": {"source": "random"}}})
        assert "random weights" in helpers.refusal(capsys, "export", where, "--results", results)
        path.write_text("{")
        assert "is damaged" in helpers.refusal(capsys, "export", where, "--results", results)
    finally:
        path.write_text(stored)


def test_the_command_prints_what_can_be_pasted(capsys, measured, results):
    record = measured["objectclear"]["sliced"]
    where = f"objectclear/{record['id'][:8]}"
    code, out, _ = helpers.command(capsys, "export", where, "--as", "yaml", "--results", results)
    ((name, entry),) = yaml.safe_load(out).items()
    assert code == 0 and name == f"OBJECTCLEAR_{record['id'][:6]}".upper()
    assert entry["about"] == "sliced" and entry["objectclear"]["attention"] == "sliced:1"
    assert json.loads(helpers.command(capsys, "export", where, "--as", "json", "--results", results)[1]) == {
        name: entry
    }
