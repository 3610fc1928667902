"""What a person may write, and the one line with which everything else is answered."""

import datetime
import json
import math

import helpers
import pytest
import yaml
from helpers import tiny

from mic2e_bench import api, paths
from mic2e_bench.catalog import registry
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import environment
from mic2e_bench.plan import params, presets, settings
from mic2e_bench.run import runner
from mic2e_bench.run.scoring import score

BASE = {"steps": 2, "resolution": 64}

# what is changed in a good file, and what the line must name: key, what was given, what exists
BAD = {
    "unknown key": ({"metric": ["ssim"]}, ["unknown key 'metric'", "Did you mean 'metrics'?", "protocol"]),
    "unknown pipeline": ({"pipeline": "objectcler"}, ["pipeline: unknown pipeline 'objectcler'", "'objectclear'?"]),
    "no pipeline": ({"pipeline": None}, ["'pipeline' is missing", "flux-schnell"]),
    "unknown setting": ({"baseline": {"guidnce": 2}}, ["baseline", "setting 'guidnce'", "'guidance'?", "steps"]),
    "another's setting": ({"baseline": {"prompt_kind": "text"}}, ["objectclear has no setting 'prompt_kind'"]),
    "unknown value": ({"vary": {"precision": ["fp8"]}}, ["vary: precision: 'fp8'", "fp32, fp16, bf16"]),
    "wrong type": ({"baseline": {"steps": "many"}}, ["baseline: steps: 'many'", "whole number from 1 to 1000"]),
    "truth for a number": ({"baseline": {"steps": True}}, ["baseline: steps: True", "whole number"]),
    "fraction of a step": ({"baseline": {"steps": 2.5}}, ["baseline: steps: 2.5", "whole number"]),
    "negative steps": ({"vary": {"steps": [-4]}}, ["vary: steps: -4", "from 1 to 1000"]),
    "no number": ({"baseline": {"guidance": math.nan}}, ["baseline: guidance: nan", "from 0 to 50"]),
    "too small": ({"baseline": {"resolution": 8}}, ["baseline: resolution: 8", "from 64 to 4096"]),
    "empty sweep": ({"vary": {}}, ["vary", "at least one value", "{}"]),
    "empty axis": ({"vary": {"steps": []}}, ["vary", "at least one value", "{'steps': []}"]),
    "axis without a list": ({"vary": {"steps": 4}}, ["vary", "{'steps': 4}"]),
    "empty trials": ({"vary": None, "trials": []}, ["trials", "at least one entry"]),
    "two sweeps": ({"presets": ["BALANCED"]}, ["one of vary, trials, presets", "vary and presets"]),
    "unknown preset": ({"vary": None, "presets": ["BALANCE"]}, ["presets", "preset 'BALANCE'", "'BALANCED'?"]),
    "unknown baseline": ({"baseline": "ULTRAFAST"}, ["baseline", "preset 'ULTRAFAST'", "'ULTRA_FAST'?"]),
    "unknown protocol": ({"protocol": {"repeat": 3}}, ["protocol", "unknown key 'repeat'", "'repeats'?"]),
    "no repeats": ({"protocol": {"repeats": 0}}, ["protocol.repeats: 0", "from 1"]),
    "no seeds": ({"protocol": {"seeds": []}}, ["protocol.seeds: []"]),
    "negative seed": ({"protocol": {"seeds": [-1]}}, ["protocol.seeds: -1"]),
    "unknown metric": ({"metrics": ["lpisp"]}, ["metrics", "metric of images 'lpisp'", "'lpips'?"]),
    "missing inputs": ({"inputs": "nowhere"}, ["inputs", "no folder 'nowhere'", "bundled"]),
    "unknown input": ({"inputs": {"source": helpers.photos(), "names": ["in9"]}}, ["inputs", "input 'in9'", "'in0'?"]),
    "no inputs": ({"inputs": {"source": helpers.photos(), "limit": 0}}, ["inputs", "limit", "0"]),
    "missing weights": ({"model": "./no-weights"}, ["model", "no folder './no-weights'", "bundled, random, published"]),
    "unknown model key": ({"model": {"sorce": "bundled"}}, ["model", "unknown key 'sorce'", "'source'?"]),
    "study as a path": ({"study": "../up"}, ["study", "'../up'", "no folder name"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_naming_all(case, tmp_path, capsys):
    changes, named = BAD[case]
    path = helpers.file(tmp_path / "study.yaml", tiny(**changes))
    line = helpers.refusal(capsys, "run", path, "--results", tmp_path / "results")
    for text in (str(path), *named):
        assert text in line
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "size, pipeline", [(100, "flux-schnell"), ("64x100", "z-image-turbo"), ([64.5, 64], "flux-schnell")]
)
def test_sizes_that_a_model_cannot_take(size, pipeline, tmp_path, capsys):
    path = helpers.file(tmp_path / "study.yaml", {"pipeline": pipeline, "vary": {"resolution": [size]}})
    line = helpers.refusal(capsys, "plan", path)
    assert f"{path}: vary: resolution: {size!r}" in line


@pytest.mark.parametrize("content, named", [("a: [1", "not valid YAML"), ("- 1", "maps keys to values"), ("", "keys")])
def test_files_that_are_no_params(content, named, tmp_path, capsys):
    path = helpers.file(tmp_path / "study.yaml", content)
    line = helpers.refusal(capsys, "run", path, "--results", tmp_path / "results")
    assert str(path) in line and named in line


def test_missing_file_names_the_others(tmp_path, capsys):
    helpers.file(tmp_path / "one.yaml", tiny())
    line = helpers.refusal(capsys, "run", tmp_path / "on.yaml")
    assert "on.yaml: no such params file" in line and "one.yaml" in line
    assert str(tmp_path) in helpers.refusal(capsys, "run", tmp_path)  # a folder


@pytest.mark.parametrize(
    "change, named",
    [
        ("protocol", "write key=value"),
        ("=3", "write key=value"),
        ("pipeline.steps=3", "'pipeline' holds 'objectclear'"),
        ("vary=[1", "'[1' is not a YAML value"),
        ("vary.step=[1]", "'steps'?"),
        ("baseline.steps=", "baseline: steps: None"),
    ],
)
def test_set_errors(change, named, tmp_path, capsys):
    path = helpers.file(tmp_path / "study.yaml", tiny())
    assert named in helpers.refusal(capsys, "plan", path, "--set", change)


def test_set_changes_one_key(tmp_path):
    path = helpers.file(tmp_path / "study.yaml", tiny())
    changed = params.read(path, ("protocol.repeats=3", "vary.steps=[4]"))
    assert changed.baseline.protocol["repeats"] == 3
    assert [trial.settings["steps"] for trial in changed.trials] == [1, 4]


ODD = (None, [], {}, "", "x", "/", "~nobody/x", "\0", -1, 0, 1.5, math.nan, 10**30, True, [[1]], [{}], [None],
       {1: 2}, {"a": {}}, {"names": [[1]]}, {"names": "x"}, {"source": []}, {"seeds": [[1]]}, {"steps": [[1]]},
       {"steps": [{}]}, b"x", datetime.date(2020, 1, 1), ["BALANCED", []])  # fmt: skip


@pytest.mark.parametrize("key", params.KEYS)
def test_nothing_else_than_bad_input_is_ever_raised(key):
    for odd in ODD:
        try:
            helpers.study(tiny(**{key: odd}))
        except BadInput as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("setting", registry.toggles())
def test_no_odd_setting_gets_through(setting):
    for odd in (*ODD, "😀", "sliced:0", "1x", [1, 2, 3], [64.5, 64]):
        for pipeline in registry.pipelines().values():
            try:
                value = settings.check(setting, odd, pipeline, "here")
            except BadInput as error:
                assert str(error).startswith("here: ") and setting in str(error) and "\n" not in str(error)
            else:
                assert settings.check(setting, value, pipeline, "") == value  # canonical
                assert json.loads(json.dumps(value)) == value


def test_points_of_a_study():
    study = helpers.study(tiny(vary={"steps": [1, 2], "precision": ["fp32", "bf16"]}))
    assert [trial.label for trial in study.trials] == [
        "baseline", "steps=1, precision=bf16", "steps=2, precision=fp32", "steps=2, precision=bf16",
    ]  # fmt: skip
    assert study.varied == ("steps", "precision")
    rows = helpers.study(tiny(vary=None, trials=[{"label": "quick", "steps": 3}, {"guidance": 2}]))
    assert [trial.label for trial in rows.trials[1:]] == ["quick", "guidance=2.0"]
    named = helpers.study(tiny(vary=None, presets=["BALANCED", "ULTRA_FAST"], baseline="ORIGINAL"))
    assert [(t.label, t.settings["steps"]) for t in named.trials] == [
        ("ORIGINAL", 20), ("BALANCED", 8), ("ULTRA_FAST", 4),
    ]  # fmt: skip


def test_every_file_of_the_workbench_is_good():
    from mic2e_bench.tools.throughput import study as throughput
    from mic2e_bench.tools.tune import space_file

    studies = [path for path in (paths.root() / "params").rglob("*.yaml") if "\npipeline:" in path.read_text()]
    assert studies
    for path in studies:
        if "\nkind:" in path.read_text():
            assert throughput.read(path).points
        elif "\nspace:" in path.read_text():
            assert space_file.read(path)[1].axes
        else:
            assert all(study.trials for study in params.read_all(path))


def test_a_file_of_several_studies(tmp_path, capsys):
    one, two = (yaml.safe_dump(tiny(study=name)) for name in ("one", "two"))
    path = helpers.file(tmp_path / "several.yaml", f"# of two\n---\n{one}---\n{two}---\n")
    studies = params.read_all(path, ("baseline.steps=3",))
    assert [(study.name, study.baseline.settings["steps"]) for study in studies] == [("one", 3), ("two", 3)]
    code, out, _ = helpers.command(capsys, "plan", path, "--results", tmp_path / "results")
    assert code == 0 and "one: objectclear" in out and "two: objectclear" in out
    (single,) = params.read_all(helpers.file(tmp_path / "single.yaml", one))
    assert [trial.id for trial in single.trials] == [trial.id for trial in params.read(tmp_path / "single.yaml").trials]
    line = helpers.refusal(capsys, "tune", path)
    assert "it holds 2 studies, and one is wanted here" in line and "mincard" in line


def test_python_takes_a_file_of_several_studies_to_run_and_not_as_one(tmp_path, monkeypatch):
    path = helpers.file(tmp_path / "several.yaml", f"{yaml.safe_dump(tiny())}---\n{yaml.safe_dump(tiny(study='two'))}")
    ran = []
    monkeypatch.setattr(runner, "run", lambda studies, *_, **__: ran.extend(studies))
    monkeypatch.setattr(score, "studies", lambda *_: [])
    api.run(path, tiny(study="three"), helpers.study(tiny(study="four")), results=tmp_path)
    assert [study.name for study in ran] == ["tiny", "two", "three", "four"]
    with pytest.raises(BadInput, match="holds 2 studies"):
        api.study(path)


@pytest.mark.parametrize(
    "second, named",
    [
        (tiny(study="one"), ["study 2", "another study of this file is named 'one'"]),
        (tiny(study="two", metric=[]), ["study 2: unknown key 'metric'"]),
        ("- 1", ["maps keys to values"]),
        ("a: [1", ["not valid YAML"]),
    ],
)
def test_bad_files_of_several_studies(second, named, tmp_path, capsys):
    second = second if isinstance(second, str) else yaml.safe_dump(second)
    path = helpers.file(tmp_path / "s.yaml", f"{yaml.safe_dump(tiny(study='one'))}---\n{second}\n")
    line = helpers.refusal(capsys, "run", path, "--results", tmp_path / "results")
    assert str(path) in line and all(text in line for text in named)


def test_evidence_is_no_name_of_a_study(tmp_path, capsys):
    path = helpers.file(tmp_path / "study.yaml", tiny(study="evidence"))
    assert "the folder of the records that are kept" in helpers.refusal(capsys, "plan", path)


GPU_FILES = sorted((paths.root() / "params" / "gpu").glob("*.yaml"))


def test_without_a_gpu_its_studies_are_planned_and_nothing_of_them_is_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(environment, "gpu", lambda: None)
    code, out, _ = helpers.command(capsys, "plan", *GPU_FILES, "--results", tmp_path)
    assert code == 0
    studies = [study for path in GPU_FILES for study in params.read_all(path)]
    assert out.count("unavailable here: ") == sum(len(study.trials) for study in studies)
    assert len({study.name for study in studies}) == len(studies)
    assert not any(study.refused for study in studies)
    assert {study.baseline.settings["device"] for study in studies} == {"cuda"}
    assert not any(study.metrics for study in studies)
    compiled = [t for s in studies for t in s.trials if t.settings["compile"] != "none"]
    assert all(trial.protocol["warmup"] >= 2 for trial in compiled)


def test_trials_of_the_gpu_that_are_labelled_as_presets_are_these():
    study = params.read(paths.root() / "params" / "gpu" / "01-objectclear.yaml")
    labelled = {trial.label: trial.settings for trial in study.trials if trial.label.isupper()}
    assert set(labelled) == {"BALANCED", "ULTRA_FAST", "LOW_MEMORY"}
    for name, found in labelled.items():
        assert found == {**found, **presets.settings_of(name, study.pipeline, "")}


SHOWN_BY_A_GPU = ("precision", "attention", "quantize", "compile", "offload", "vae_tiling", "channels_last", "tf32",
                  "cudnn_benchmark", "memory_fraction", "expandable_segments", "scheduler", "guidance", "guidance_stop",
                  "batch", "step_cache", "grad_mode", "cache_clearing", "fused_qkv", "prompt_kind")  # fmt: skip


def test_the_smoke_study_has_each_pipeline_and_each_kind_of_setting():
    studies = params.read_all(paths.root() / "params" / "gpu" / "smoke.yaml")
    assert {study.pipeline.name for study in studies} == set(registry.pipelines())
    changed = {key for study in studies for trial in study.trials for key, value in trial.settings.items()
               if value != study.baseline.settings[key]}  # fmt: skip
    assert changed == set(SHOWN_BY_A_GPU)
    used = {(key, str(value).partition(":")[0]) for study in studies for trial in study.trials
            for key, value in trial.settings.items()}  # fmt: skip
    kinds = {"attention": ("native", "math", "efficient", "flash", "cudnn", "xformers", "sliced"),
             "quantize": ("bnb-int8", "bnb-nf4", "torchao-int8wo", "torchao-fp8dyn", "fp8-layerwise"),
             "compile": ("default", "reduce-overhead"), "offload": ("model", "group", "sequential"),
             "precision": ("fp32", "fp16", "bf16")}  # fmt: skip
    assert {(key, value) for key, values in kinds.items() for value in values} <= used
