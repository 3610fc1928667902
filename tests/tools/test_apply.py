"""``mic2e_bench.apply``: a preset on a pipeline that a service has loaded, by the toggles' own code."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import helpers
import numpy as np
import pytest
import toggling
import torch
import yaml
from PIL import Image

import mic2e_bench
from mic2e_bench import paths
from mic2e_bench.catalog import registry
from mic2e_bench.errors import BadInput
from mic2e_bench.plan import presets


def live(name, dtype=torch.float32):
    """A bundled pipeline as a service loads it: the library's own classes, nothing of the workbench."""
    import diffusers

    from mic2e_bench.catalog.models.objectclear.pipeline import ObjectClearPipeline

    classes = {
        "objectclear": ObjectClearPipeline,
        "sdxl-inpaint": diffusers.StableDiffusionXLInpaintPipeline,
        "flux-schnell": diffusers.FluxPipeline,
        "z-image-turbo": diffusers.ZImagePipeline,
    }
    extra = {"add_watermarker": False} if name == "sdxl-inpaint" else {}
    pipe = classes[name].from_pretrained(paths.BUNDLED / name, dtype=dtype, **extra)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def picture(pipe, applied, seed=1):
    """A call as a service makes it, with what ``apply`` returned."""
    given = {"prompt": toggling.ITEM.caption}
    given |= {"max_sequence_length": 256} if "Flux" in type(pipe).__name__ else {}
    if applied.build.pipeline.size == "short_side":
        image, mask = applied.resized(toggling.ITEM.image, toggling.ITEM.mask)
        given = {"image": image, "mask_image": mask, "width": image.width, "height": image.height}
        given |= {} if "ObjectClear" in type(pipe).__name__ else {"prompt": toggling.ITEM.prompt, "strength": 1.0}
    with applied.around():
        return pipe(**given, generator=torch.Generator().manual_seed(seed), **applied.call).images[0]


SMALL = {"steps": 2, "resolution": 64}
CASES = {
    "objectclear": {"precision": "bf16", "attention": "sliced:1", "channels_last": "both", "guidance": 2.0},
    "sdxl-inpaint": {"scheduler": "ddim", "channels_last": "vae", "attention": "math"},
    "flux-schnell": {"fused_qkv": True, "grad_mode": "inference_mode", "quantize": "torchao-int8wo"},
    "z-image-turbo": {"guidance": 1.0, "guidance_stop": 0.5, "quantize": "bnb-int8", "batch": 1},
}


@pytest.mark.parametrize("name", CASES)
def test_the_image_and_the_receipts_are_those_of_a_trial(name):
    """The toggles' code on a service's pipeline gives what the worker gives on its own."""
    asked = {**SMALL, **CASES[name], "threads": 1}
    build, trial = toggling.build(name, **asked)
    wanted = toggling.shoot(build, trial)
    pipe = live(name)
    applied = mic2e_bench.apply(pipe, asked)
    with applied.watch():
        made = picture(pipe, applied)
    made = made if name in ("flux-schnell", "z-image-turbo") else made.resize(toggling.SIZE, Image.Resampling.BICUBIC)
    assert np.array_equal(np.asarray(made), np.rint(wanted.image * 255).astype(np.uint8))
    for setting in asked:
        assert applied.receipts[setting] == wanted.receipts[setting], setting
        assert applied.receipts[setting]["applied"] is True, applied.receipts[setting]


def test_a_preset_by_name_sets_the_call_and_the_pipeline():
    pipe = live("objectclear")
    applied = mic2e_bench.apply(pipe, "ULTRA_FAST")
    assert applied.call == {"num_inference_steps": 4, "guidance_scale": 1.5}
    assert applied.settings["resample"] == "bilinear" and applied.conflicts == []
    assert set(applied.receipts) == set(applied.settings)
    image, _ = applied.resized(toggling.ITEM.image, toggling.ITEM.mask)
    assert image.size == toggling.SIZE  # smaller than the preset's 256 already
    assert pipe.unet.dtype == torch.float16
    assert applied.receipts["precision"]["applied"] is None  # what the VAE decodes in shows in a call
    late = applied.receipts["low_cpu_mem_usage"]
    assert late["applied"] is False and "loaded before" in late["reason"]


def test_the_lines_of_the_page_run():
    """Those of docs/python.md, on a pipeline, an image and a mask as a service has them."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (helpers.ROOT / "docs/python.md").read_text(), re.M | re.S)
    (lines,) = [text for text in blocks if "apply(" in text]
    item = toggling.ITEM
    here = {"mic2e_bench": mic2e_bench, "pipe": live("objectclear"), "image": item.image, "mask": item.mask}
    exec(compile(lines, "docs/python.md", "exec"), here)
    assert here["applied"].receipts["guidance"]["applied"] is True


def test_what_cannot_be_applied_says_why():
    pipe = live("flux-schnell", torch.bfloat16)
    asked = {
        "precision": "fp32",
        "page_cache": "cold",
        "offload": "model",
        "attention": "sliced:1",
        "process": "per_call",
    }
    applied = mic2e_bench.apply(pipe, {**asked, **SMALL})
    receipts = applied.receipts
    assert "loaded in bfloat16" in receipts["precision"]["reason"]
    assert "acts while loading" in receipts["page_cache"]["reason"]
    assert "accelerator" in receipts["offload"]["reason"]
    assert (receipts["process"]["seen"], receipts["process"]["applied"]) == ("kept", False)
    assert pipe.transformer.dtype == torch.bfloat16
    with applied.watch():
        picture(pipe, applied)
    assert applied.receipts["attention"]["applied"] is False  # slicing does nothing on this transformer
    assert "does nothing" in applied.receipts["attention"]["reason"]
    assert "loaded in bfloat16" in applied.receipts["precision"]["reason"]
    assert applied.receipts["steps"] == {
        "asked": 2, "seen": 2, "applied": True, "how": "2 ends of steps counted; 2 denoiser calls",
    }  # fmt: skip


def test_conflicts_are_refused_unless_forced():
    pipe = live("objectclear")
    asked = {"fused_qkv": True, "attention": "sliced:1"}
    with pytest.raises(BadInput, match="fused projections bring their own attention processor") as refused:
        mic2e_bench.apply(pipe, asked)
    assert "\n" not in str(refused.value) and "force=True" in str(refused.value)
    assert not hasattr(pipe.unet.down_blocks[1].attentions[0].transformer_blocks[0].attn1, "to_qkv")  # untouched
    applied = mic2e_bench.apply(pipe, asked, force=True)
    assert len(applied.conflicts) == 1


def test_applying_again_changes_the_call_and_takes_nothing_back():
    pipe = live("sdxl-inpaint")
    applied = mic2e_bench.apply(pipe, {"attention": "math", "guidance_stop": 0.5, **SMALL})
    again = mic2e_bench.apply(pipe, {"steps": 1, "guidance": 4.0})
    assert again is applied and len(again.build.around_build) == 1  # the kernel is arranged once
    call = again.call
    assert (call["num_inference_steps"], call["guidance_scale"]) == (1, 4.0)
    assert len(again.build.on_step) == 1 and "callback_on_step_end" in call
    with pytest.raises(BadInput, match="attention math is in force on this pipeline already"):
        mic2e_bench.apply(pipe, {"attention": "native"})


def test_a_file_of_a_preset_or_of_settings(tmp_path):
    pipe = live("z-image-turbo")
    named = tmp_path / "mine.yaml"
    entry = {"inherits": "SERVER_MAX_SPEED", "z-image-turbo": {"steps": 3, "attention": "math", "compile": "none"}}
    named.write_text(yaml.safe_dump({"MINE": entry}))
    settings = presets.read(named, registry.pipeline("z-image-turbo"), "test")
    assert (settings["steps"], settings["resolution"], settings["tf32"]) == (3, [1024, 1024], "all")
    flat = tmp_path / "flat.yaml"
    flat.write_text("steps: 2\nresolution: 64x128\n")
    assert mic2e_bench.apply(pipe, flat).call == {"num_inference_steps": 2, "height": 64, "width": 128}


@pytest.mark.parametrize(
    ("preset", "said"),
    [
        ("BALENCED", "unknown preset 'BALENCED'. Did you mean 'BALANCED'?"),
        ({"step": 2}, "unknown setting 'step'. Did you mean 'steps'?"),
        ({"steps": 0}, "steps: 0 is not a whole number from 1 to 1000"),
        ("nowhere.yaml", "nowhere.yaml: cannot be read"),
        ("SDXL_30_STEPS", "says nothing of flux-schnell"),
    ],
)
def test_bad_presets_are_one_line(preset, said):
    pipe = live("flux-schnell")
    with pytest.raises(BadInput) as refused:
        mic2e_bench.apply(pipe, preset)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_an_unknown_class_asks_for_the_pipeline():
    with pytest.raises(BadInput, match="no pipeline is known by the class SimpleNamespace: give pipeline="):
        mic2e_bench.apply(SimpleNamespace(), "BALANCED")
    with pytest.raises(BadInput, match="this SimpleNamespace has no text_encoder"):
        mic2e_bench.apply(SimpleNamespace(), {"steps": 2}, pipeline="flux-schnell")


def test_a_class_of_several_pipelines_asks_for_the_pipeline(monkeypatch):
    known = registry.pipelines()
    twin = replace(known["flux-schnell"], name="flux-dev")
    monkeypatch.setattr(registry, "pipelines", lambda: {**known, "flux-dev": twin})
    pipe = type("FluxPipeline", (), {})()
    with pytest.raises(BadInput, match="several pipelines are known by the class FluxPipeline: give pipeline="):
        mic2e_bench.apply(pipe, {"steps": 2})


def test_a_watch_without_a_call_is_refused():
    applied = mic2e_bench.apply(live("flux-schnell"), SMALL)
    with pytest.raises(BadInput, match="no call of the pipeline was made inside"), applied.watch():
        pass


def test_importing_the_package_imports_no_torch():
    code = "import sys, mic2e_bench; assert mic2e_bench.apply and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
