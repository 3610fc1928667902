"""Adding a pipeline is one file: a checkout with ``sixth_pipeline.py`` in it plans, runs, reports, fits and exports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import helpers
import pytest

ROOT = helpers.ROOT
NAME = "tiny-sd"

# a folder of weights as people get one, by what the file says of the pipeline; then a preset on what a service loads
SAVE_AND_APPLY = f"""
import json, sys, torch, mic2e_bench
from diffusers import StableDiffusionPipeline
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.catalog.models import random
random.assemble(Build(registry.pipeline("{NAME}"), load={{"dtype": torch.float32}})).save_pretrained(sys.argv[2])
pipe = StableDiffusionPipeline.from_pretrained(sys.argv[2])
pipe.set_progress_bar_config(disable=True)
applied = mic2e_bench.apply(pipe, {{"steps": 2, "resolution": 64, "guidance": 4.0, "fused_qkv": True}})
with applied.watch():
    pipe("a ball", **applied.call)
print(json.dumps([applied.build.pipeline.name, applied.receipts]))
"""
COMMANDS = """
import contextlib, io, json, sys
from mic2e_bench import cli
def printed(act, *arguments):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        result = act(*arguments)
    return [result, out.getvalue()]
for arguments in json.loads(sys.argv[1]):
    print(json.dumps(printed(cli.main, arguments)))
"""
# a record's code by its label, and what that prints as a script
EXPORT_AND_RUN = """
import runpy
from pathlib import Path
results = Path(sys.argv[3])
ids = {one["label"]: one["id"] for one in map(json.loads, map(Path.read_text, (results / "sixth").glob("*.json")))}
for label in sys.argv[4:]:
    code, text = printed(cli.main, ["export", f"sixth/{ids[label]}", "--results", str(results)])
    script = results / f"{label}.py"
    script.write_text(text)
    print(json.dumps([code, text, printed(runpy.run_path, str(script))[1]]))
"""
EXPORTED = ("bf16", "fused")


class Checkout:
    """A contributor's checkout with one more file, and processes in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "mic2e_bench", folder / "mic2e_bench", ignore=_left_out)
        pipelines = folder / "mic2e_bench" / "catalog" / "pipelines"
        shutil.copy(helpers.TESTS / "sixth_pipeline.py", pipelines / "tiny_sd.py")
        (folder / "mic2e_bench" / "bundled").symlink_to(ROOT / "mic2e_bench" / "bundled")
        for name in ("params", "notebooks"):
            (folder / name).symlink_to(ROOT / name)

    def python(self, *arguments: str | Path) -> list:
        """What such a process printed, a line of JSON each; it must end well."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
        return [json.loads(line) for line in done.stdout.splitlines()]


def _left_out(folder: str, names: list[str]) -> set[str]:
    return {"bundled", "__pycache__"} & set(names)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return Checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def done(checkout):
    """Commands on one study, by name: exit code and text. All in one process, which imports the libraries once.

    ``live`` is what ``apply`` found on the pipeline of the folder ``weights``, which it leaves: its name, the receipts.
    Those of ``EXPORTED`` have what the exported code printed as well.
    """
    study = {
        "study": "sixth", "pipeline": NAME, "model": str(checkout.folder / "weights"),
        "inputs": helpers.inputs(checkout.folder / "in", ((96, 80), (72, 112))),
        "baseline": {"steps": 2, "resolution": "64x96", "threads": 1, "device": "cpu"},
        "trials": [
            {"label": "bf16", "precision": "bf16", "attention": "sliced:1", "scheduler": "euler", "vae_tiling": 64},
            {"label": "fused", "fused_qkv": True, "guidance": 3.0, "guidance_stop": 0.5},
            {"label": "nf4", "quantize": "bnb-nf4"},
        ],
        "protocol": {"warmup": 0, "repeats": 1}, "metrics": ["psnr"],
    }  # fmt: skip
    path = helpers.file(checkout.folder / "sixth.yaml", study)
    random = helpers.file(checkout.folder / "random.yaml", {**study, "study": "random", "model": "random"})
    results = ["--results", checkout.folder / "results"]
    asked = {
        "list": ["list", "pipelines"],
        "plan": ["plan", path],
        "plan random": ["plan", random],
        "run": ["run", path, *results],
        "fit": ["fit", NAME, "--settings", "resolution=64", "--gpu", "T4", *results],
        "fit a folder": ["fit", NAME, "--model", checkout.folder / "weights", "--vram", "1GiB", "--json", *results],
    }
    weights, asked["report"] = checkout.folder / "weights", ["report", path, *results]
    given = json.dumps([[str(argument) for argument in one] for one in asked.values()])
    code = SAVE_AND_APPLY + COMMANDS + EXPORT_AND_RUN
    found = checkout.python("-c", code, given, weights, results[1], *EXPORTED)
    return dict(zip(("live", *asked, *EXPORTED), found, strict=True))


@pytest.fixture(scope="module")
def records(checkout, done):
    return helpers.on_disk(checkout.folder / "results", "sixth")


def test_it_is_listed_planned_and_measured(checkout, done, records):
    assert NAME in done["list"][1]
    for name in ("plan", "plan random"):
        assert done[name][0] == 0 and NAME in done[name][1]
    assert "layers of 32" in done["plan"][1]
    statuses = {label: record["status"] for label, record in records.items()}
    assert statuses == {"baseline": "ok", "bf16": "ok", "fused": "ok", "nf4": "refused"}, records
    assert "layers of 32" in records["nf4"]["reason"]
    assert helpers.whole(checkout.folder / "results", "sixth")
    for label in ("baseline", "bf16", "fused"):
        record = records[label]
        assert all(receipt["applied"] for receipt in record["receipts"].values())
        assert [p.size for p in helpers.pictures(checkout.folder / "results", "sixth", record)] == [(96, 64)] * 2
        assert set(record["timing"]["component_s"]) == {"text_encoder", "unet", "vae.decode"}


def test_it_is_scored_and_reported(checkout, done, records):
    assert records["bf16"]["quality"]["psnr"]["value"] > 0
    pytest.importorskip("papermill")
    code, text = done["report"]
    assert code == 0, text
    page = (checkout.folder / "results" / "sixth" / "report.html").read_text()
    assert f"{NAME} (nobody/tiny-sd): text to image, tiny" in page and "fused" in page


def test_its_memory_is_estimated(done):
    assert done["fit"][0] == 0 and "T4" in done["fit"][1]
    estimated = json.loads(done["fit a folder"][1])
    assert estimated["pipeline"] == NAME


def test_exported_code_makes_the_images_of_its_records(done):
    for label in EXPORTED:
        code, text, printed = done[label]
        assert code == 0 and "from diffusers import StableDiffusionPipeline" in text
        assert ("mic2e_bench.apply" in text) == (label == "fused")  # guidance_stop has no plain form
        assert printed.count("the image of the record") == 1


def test_a_live_one_is_recognised(done):
    name, receipts = done["live"]
    assert name == NAME and receipts["fused_qkv"]["applied"] and receipts["guidance"]["seen"] == 4.0
