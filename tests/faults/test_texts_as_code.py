"""A text of a record, a preset or a params file is never code: not in an exported file, not in an executed notebook."""

import ast
import datetime
import io
import json
import tokenize
from pathlib import Path

import pytest
import whole_records
import yaml
from helpers import command, refusal, study, tiny

import mic2e_bench
from mic2e_bench import texts
from mic2e_bench.errors import BadInput
from mic2e_bench.tools.export import entries, find, python

BREAKS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]
HOSTILE = [
    *(f"x{line_break}raise SystemExit" for line_break in BREAKS),
    '"; raise SystemExit; "', "'''\nraise SystemExit\n'''", '"""\nraise SystemExit\n"""', "ends in a backslash \\",
    "{raise_}", "%s {0.__class__}", "{{ 7 * 6 }}", "coding: utf-7", "-*- coding=utf_16 -*-", "\ud800", "\0",
]  # fmt: skip


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A results folder with a measured record, its study and the file."""
    results, of = tmp_path_factory.mktemp("exported"), whole_records.study()
    return results, of, whole_records.write(results, of, of.baseline, 1)


def shape(code):
    """What a file does: its syntax tree without the texts in it. Python reads it as the bytes of a file."""
    text = code.encode()
    assert tokenize.detect_encoding(io.BytesIO(text).readline)[0] == "utf-8"
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_records_texts_are_literals_and_comments(text, exported, capsys):
    results, of, path = exported
    name = f"{of.name}/{of.baseline.id}"
    plain = command(capsys, "export", name, "--results", results)[1]
    content = json.loads(path.read_text())
    try:
        trial = {**content["trial"], "inputs": {**content["trial"]["inputs"]}}
        whole_records.change(path, label=text, trial=trial, images=[{**content["images"][0], "sha256": text}])
        code, said, _ = command(capsys, "export", name, "--results", results)
        assert code == 0 and shape(said) == shape(plain)
    finally:
        path.write_text(json.dumps(content))


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("model", [{"source": "hub", "id": "a/b"}, {"source": "folder", "path": "/m"}])
def test_a_models_name_and_revision_are_literals(text, model, exported, capsys):
    results, of, path = exported
    content = json.loads(path.read_text())
    sources = [{**model, **dict.fromkeys(("path", "revision"), said)} for said in ("plain", text)]
    shapes = []
    try:
        for source in sources:
            whole_records.change(path, trial={**content["trial"], "model": source})
            code, said, _ = command(capsys, "export", f"{of.name}/{of.baseline.id}", "--results", results)
            assert code == 0
            shapes.append(shape(said))
        assert shapes[0] == shapes[1]
    finally:
        path.write_text(json.dumps(content))


@pytest.mark.parametrize("id", ["../x", "a/..", "a", "/a/b", "a/b/c", "a/b\n", 'a/b"', "", None, 3])
def test_a_hub_id_leads_into_no_folder(id, exported, capsys):
    results, of, path = exported
    content = json.loads(path.read_text())
    try:
        model = {"source": "hub", "id": id, "revision": "main"}
        whole_records.change(path, trial={**content["trial"], "model": model})
        assert "trial.model.id" in refusal(capsys, "export", f"{of.name}/{of.baseline.id}", "--results", results)
        with pytest.raises(BadInput):
            study(tiny(model=id or "../a"))
    finally:
        path.write_text(json.dumps(content))


@pytest.mark.parametrize("setting", ["steps", "attention", "scheduler", "device", "resolution", "precision", "compile"])
@pytest.mark.parametrize("value", ["x\nraise SystemExit", '4"); raise SystemExit', [1, "raise"], {"a": 1}, 1e400, None])
def test_a_setting_that_its_toggle_would_not_write_is_damage(setting, value, exported, capsys):
    results, of, path = exported
    content = json.loads(path.read_text())
    try:
        settings = {**content["trial"]["settings"], setting: value}
        whole_records.change(path, trial={**content["trial"], "settings": settings})
        line = refusal(capsys, "export", f"{of.name}/{of.baseline.id}", "--results", results)
        assert "is damaged" in line and path.name in line
    finally:
        path.write_text(json.dumps(content))


@pytest.mark.parametrize("text", [*HOSTILE, "class", "1", "", "é"])
def test_a_presets_name_and_words_stay_what_they_are(text, tmp_path):
    plain, made = (find.Chosen(said, said, {"objectclear": {"steps": 4}}) for said in ("plain", text))
    assert shape(python.snippet(made)) == shape(python.snippet(plain))
    assert [type(node) for node in ast.parse(entries.as_mic2e(made)).body] == [ast.Assign]
    for written in (entries.as_yaml(made), entries.as_json(made)):
        assert texts.plain(written) == written
    wanted = {text: {**({"about": text} if text else {}), "objectclear": {"steps": 4}}}
    assert yaml.safe_load(entries.as_yaml(made)) == wanted == json.loads(entries.as_json(made))


@pytest.mark.parametrize("value", [b'" + raise_ + "', {"a"}, datetime.date(2026, 1, 1), object(), 1j])
@pytest.mark.parametrize("place", ["label", "names", "value"])
def test_a_params_file_holds_plain_values_only(value, place):
    changes = {"label": {"trials": [{"steps": 3, "label": value}]}, "names": {"inputs": {"names": [value]}},
               "value": {"protocol": {"seeds": [[value]]}}}[place]  # fmt: skip
    with pytest.raises(BadInput, match="is no text, number"):
        study(tiny(vary=None, **changes))


@pytest.mark.parametrize("text", ["plain", *HOSTILE])
def test_a_literal_is_read_back(text):
    assert ast.literal_eval(texts.literal(text)) == text and len(texts.literal(text).splitlines()) == 1


def test_nothing_of_ours_evaluates_what_it_reads():
    """No pickles, no YAML with tags, no code from a hub."""
    for path in Path(mic2e_bench.__file__).parent.rglob("*.py"):
        text = path.read_text()
        if not any(word in text for word in ("eval(", "exec(", "load(", "loads(", "trust_remote")):
            continue
        for node in ast.walk(ast.parse(text)):
            assert not (isinstance(node, ast.keyword) and node.arg == "trust_remote_code"), path
            if not isinstance(node, ast.Call):
                continue
            called, given = ast.unparse(node.func), {keyword.arg for keyword in node.keywords}
            assert called not in ("eval", "exec", "pickle.load", "pickle.loads", "yaml.load", "yaml.unsafe_load"), path
            assert called != "torch.load" or "weights_only" in given, path
