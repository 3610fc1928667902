"""YAML's and papermill's types: a text stays as it is written, and a value is what a person means by it, or a line."""

import argparse
import os

import helpers
import pytest
import yaml

from mic2e_bench import arguments, documents, files, notebook, paths, units
from mic2e_bench.errors import BadInput
from mic2e_bench.plan import params

NAMES = [
    "010",
    "8",
    "1_0",
    "1:30",
    "y",
    "n",
    "yes",
    "off",
    "null",
    "~",
    "1.0",
    "1e3",
    "0x1F",
    "2026-01-01",
    "true",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_what_is_written(name, tmp_path, monkeypatch):
    """As a picture with its prompts, in ``names:``, as a label, and on the command line."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number, stem in enumerate((name, "other")):
        helpers.picture((96, 80), number).save(folder / f"{stem}.png")
        helpers.mask((96, 80)).save(folder / f"{stem}.mask.png")
    is_null = name in ("null", "~")  # as the value of a key these are nothing
    written = "x" if is_null else name
    (folder / "prompts.yaml").write_text(f"{name}: {{prompt: its own}}\nother: {{prompt: {written}}}\n")
    path = tmp_path / "p.yaml"
    path.write_text(
        f"pipeline: sdxl-inpaint\ninputs: {{source: {folder}, names: [{name}, other]}}\n"
        f"trials: [{{steps: 3, label: {name}}}]\n"
    )
    read = params.read(path)
    prompts = {stem: item["prompt"] for stem, item in read.baseline.inputs["items"].items()}
    assert prompts == {name: "its own", "other": written}
    assert read.trials[1].label == ("steps=3" if is_null else name)
    changed = params.read(path, (f"inputs.names=[{name}]", "trials="))
    assert list(changed.baseline.inputs["items"]) == [name]


@pytest.mark.parametrize("name", ["010", "8", "1_0", "yes", "1.0", "true", "1e3", "2026-01-01"])
def test_a_study_is_named_as_it_is_written(name, tmp_path):
    path = helpers.file(tmp_path / "p.yaml", f"study: {name}\npipeline: objectclear\n")
    assert params.read(path).name == name
    assert params.read(path, (f"study={name}{name}",)).name == name * 2


@pytest.mark.parametrize(
    ("text", "value"),
    [("8", 8), ("-1", -1), ("1e-3", 1e-3), ("1.", 1.0), (".5", 0.5), ("true", True), ("FALSE", False), ("~", None),
        ("", None),
     ("010", "010"), ("0o10", "0o10"), ("1_000", "1_000"), ("1:30", "1:30"), ("yes", "yes"), ("٣", "٣"),
     ("2026-13-01", "2026-13-01"),
     ("=", "="), ("'8'", "8"), ("!!str 8", "8"), ("[010, 8]", ["010", 8]), ("{010: on}", {"010": "on"})],
)  # fmt: skip
def test_a_plain_value(text, value):
    found = files.yaml_value(text, "--set")
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("value", [*NAMES, "a: b", "", "1e3", "-", "é", "'"])
def test_what_is_written_is_read_as_the_same_by_everybody(value):
    text = documents.as_yaml({"x": value, "y": [value]})
    assert documents.yaml_values(text)[0] == yaml.safe_load(text) == {"x": value, "y": [value]}


@pytest.mark.parametrize(
    ("word", "value"), [("on", True), ("No", False), ("yes", True), ("off", False), ("true", True)]
)
def test_a_switch_takes_the_words_that_it_took(word, value, tmp_path):
    path = helpers.file(
        tmp_path / "p.yaml", f"pipeline: objectclear\nvary: {{vae_slicing: [{word}]}}\nprotocol: {{cost: {word}}}\n"
    )
    read = params.read(path)
    assert read.trials[-1].settings["vae_slicing"] is value and read.baseline.protocol.get("cost", False) is value


@pytest.mark.parametrize(("mixed", "means"), [(False, False), ("False", False), ("false", False), ("no", False), (0,
    False), ("0", False),
                                              (True, True), ("true", True), ("Yes", True), (1, True)])  # fmt: skip
def test_mixed_of_papermill(mixed, means):
    assert notebook.bench("vary", {"pipeline": "objectclear"}, mixed=mixed).mixed is means


@pytest.mark.parametrize("mixed", ["maybe", "", 2, None, [], "ja"])
def test_mixed_that_means_nothing(mixed):
    with pytest.raises(BadInput, match=r"^parameters: mixed: .* is not true or false\.$"):
        notebook.bench("vary", {"pipeline": "objectclear"}, mixed=mixed)


@pytest.mark.parametrize(
    ("asked", "says"),
    [({"max_latency": 4}, "'4' has no unit"), ({"min_quality": 85}, "'85' has no unit"), ({"max_memory": 1e10},
        "has no unit"),
     ({"max_latency": True}, "is not a time"), ({"prefer": 5}, "unknown preference '5'"), ({"max_latency": "٣s"},
         "is not a time"),
     ({"max_latency": "1e400s"}, "is not a time"), ({"max_latency": ""}, "is not a time"), ({"prefer": ""},
         "unknown preference"),
     ({"results": 5}, "results: 5 is no text"), ({"results": ""}, "is no name"), ({"studies": 10},
         "studies: 10 is no text")],
)  # fmt: skip
def test_what_papermill_makes_of_a_parameter_is_a_line(asked, says):
    studies, results = asked.pop("studies", ["size-sdxl-inpaint"]), asked.pop("results", "results/evidence")
    with pytest.raises(BadInput) as refused:
        notebook.choice(studies, results, **asked)
    assert says in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [({"study": 10}, "study: 10 is no text: write it in quotes"), ({"inputs": 1}, "inputs: 1 is no text"),
        ({"model": 1}, "is no text"),
     ({"inputs": {"source": "bundled", "names": [8]}}, "names: 8 is no text"), ({"presets": [1]}, "1 is no text"),
     ({"trials": [{"steps": 1, "label": b"x"}]}, "is no text"), ({"baseline": 5}, "write a mapping"),
     ({"metrics": "psnr"}, "list")],
)  # fmt: skip
def test_a_parameter_of_another_type_is_a_line(given, says):
    with pytest.raises(BadInput) as refused:
        notebook.bench("vary", {"pipeline": "objectclear", **given})
    assert says in str(refused.value)


def test_folders_of_a_notebook_are_the_workbenchs(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(paths.root() / "notebooks")
    made = [notebook.bench("vary", {"pipeline": "objectclear"}, results=name).results for name in ("r/x", "~/x", "/r")]
    assert made == [paths.root() / "r/x", tmp_path / "x", helpers.Path("/r")]


def test_the_home_folder_is_meant_everywhere(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert arguments.path("~/x") == tmp_path / "x" == paths.results_of("~/x")
    helpers.inputs(tmp_path / "in")
    path = helpers.file(tmp_path / "p.yaml", helpers.tiny(inputs="~/in"))
    assert helpers.command(capsys, "plan", path, "--results=~/r")[0] == 0
    assert not os.path.exists("~")


@pytest.mark.parametrize("text", ["", " ", "a\0b"])
def test_no_name_of_a_folder(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no name"):
        arguments.path(text)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "1e3", "٣", "1_000", "nan", "", "9" * 5000])
def test_no_count(text):
    with pytest.raises(BadInput, match="is not a whole number from 1"):
        units.count(text, "--patience")


@pytest.mark.parametrize("key", ["varry", "steps"])
def test_a_key_that_is_unknown_is_said_where_it_is_empty_too(key, tmp_path, capsys):
    path = helpers.file(tmp_path / "p.yaml", {**helpers.tiny(), key: None})
    assert f"unknown key '{key}'" in helpers.refusal(capsys, "plan", path)


def test_what_a_text_says_belongs_to_who_reads_it():
    """A text is parsed once; what one reader changes, the next does not see."""
    (first,) = documents.yaml_values("vary: {steps: [1]}")
    first["vary"]["steps"].append(2)
    assert documents.yaml_values("vary: {steps: [1]}") == [{"vary": {"steps": [1]}}]
