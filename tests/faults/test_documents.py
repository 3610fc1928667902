"""Documents that explode: limits on size, depth, aliases, digits and trials; regular files only. A line, at once."""

import json
import os

import helpers
import pytest

from mic2e_bench import documents, files
from mic2e_bench.records import record

LAUGHS = (
    "[&a [x, x, x, x, x, x, x, x], "
    + ", ".join(f"&{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]"
)
CHAIN = "[&a0 [x], " + ", ".join(f"&a{n} [*a{n - 1}]" for n in range(1, 200)) + "]"
MERGES = "{a0: &a0 {k: 1}, " + ", ".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 40)) + "}"
VALUES = {
    "laughs": (LAUGHS, "more than 20,000 values"), "a chain of aliases": (CHAIN, "more than 50 lists"),
    "merges": (MERGES, "more than 20,000 values"), "itself": ("&a [*a]", "stands within what it names"),
    "merged with itself": ("&a {<<: *a}", "stands within"), "deep": ("[" * 3000, "more than 50 lists"),
    "wide": ("[" + "1," * 30_000 + "]", "more than 20,000 values"), "digits": ("9" * 5000, "5,000 digits"),
    "int": ("!!int abc", "!!int"),
    "set": ("!!set {a}", "the tag !!set"), "omap": ("!!omap [a: 1]", "!!omap"), "binary": ("!!binary aGk=", "!!binary"),
    "date": ("!!timestamp 2020-99-99", "!!timestamp"), "object": ("!!python/object/apply:os.system [id]", "!!python"),
    "own": ("!x y", "!x"),
    "twice": ("{steps: 1, steps: 2}", "the key 'steps' is there twice"), "a list for a key": ("{[a]: 1}",
        "a key is a word"),
    "surrogate": ('"\\ud800"', "U+D800"), "escape": ('"\\e[31m"', "U+001B"), "zero": ('"\\0"', "U+0000"),
        "nowhere": ("*x", "undefined alias"),
    "merge of a number": ("{<<: 5}", "mapping"), "no end": ("[1, 2", "not valid YAML"),
        "huge": ("'" + "x" * 2**20 + "'", "larger than 1 MiB"),
}  # fmt: skip


@pytest.mark.parametrize("key", ["vary", "inputs"])
@pytest.mark.parametrize("kind", VALUES)
def test_a_value_that_cannot_be_taken_in(kind, key, tmp_path, capsys):
    value, says = VALUES[kind]
    value = f"{{limit: {value}}}" if key == "inputs" else value
    path = helpers.file(tmp_path / "p.yaml", f"pipeline: objectclear\n{key}: {value}\n")
    line = helpers.refusal(capsys, "plan", path)
    assert says in line and str(path) in line and len(line) < 600


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"\xff\xfea\0:\0", "not UTF-8"), (b"a: \0\n", "unacceptable character"), (b"a:\t\tb\n\tc: d\n",
        "not valid YAML"), (b"- a\n", "maps keys"),
     (b"", "maps keys"), (b"\n---\n" * 200, "more than 100 documents"), (b"a", "maps keys"), (b"x" * 10 * 2**20,
         "larger than 1 MiB")],
)  # fmt: skip
def test_a_file_that_is_no_document(content, says, tmp_path, capsys):
    path = tmp_path / "p.yaml"
    path.write_bytes(content)
    assert says in helpers.refusal(capsys, "plan", path)


def test_what_begins_with_a_mark_or_is_shared_is_a_document(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("\ufeffbase: &base {a: 1, b: 2}\nmore: {<<: *base, b: 3}\r\n", encoding="utf-8")
    assert files.read_yaml(path) == {"base": {"a": 1, "b": 2}, "more": {"a": 1, "b": 3}}


@pytest.mark.parametrize("made", ["pipe", "zero", "folder", "link", "gone"])
def test_only_regular_files_are_read(made, tmp_path, capsys, monkeypatch):
    """As params, prompts, a preset and the packages of ``--has``; a record of that kind is none."""

    def put(path):
        {"pipe": os.mkfifo, "zero": lambda at: os.symlink("/dev/zero", at), "folder": os.mkdir,
         "link": lambda at: os.symlink("nowhere", at), "gone": lambda at: None}[made](path)  # fmt: skip
        return path

    said = [helpers.refusal(capsys, "plan", put(tmp_path / "p.yaml"))]
    said.append(helpers.refusal(capsys, "export", put(tmp_path / "preset.yaml"), "--pipeline", "objectclear"))
    said.append(helpers.refusal(capsys, "pack", "--to", tmp_path / "to", "--has", put(tmp_path / "freeze.txt")))
    assert all(str(tmp_path) in line for line in said)
    assert record.read_if_there(put(tmp_path / "0123456789abcdef.json")) is None


PRODUCT = {
    "steps": list(range(1, 900)),
    "guidance": [n / 100 for n in range(1, 900)],
    "resolution": list(range(64, 512, 8)),
}


@pytest.mark.parametrize(
    ("change", "says"),
    [({"vary": PRODUCT}, "trials; the most is 5,000"), ({"protocol": {"repeats": 10**9}}, "from 1 to 1000000"),
     ({"protocol": {"warmup": 10**9}}, "from 0 to 1000"), ({"protocol": {"timeout_s": 10**10}}, "from 1 to 2000000"),
     ({"protocol": {"retries": 10**9}}, "from 0 to 100"), ({"protocol": {"seeds": [2**63]}}, "whole number from 0"),
     ({"protocol": {"seeds": [1.0]}}, "whole number from 0"), ({"protocol": {"seeds": list(range(1001))}}, "1 to 1000"),
     ({"protocol": {"repeats": {"max": 10**7}}}, "to 1000000"), ({"vary": {"steps": [10**6]}}, "from 1 to 1000"),
     ({"vary": {"batch": [10**6]}}, "from 1 to 64"), ({"vary": {"resolution": [10**6]}}, "whole number"),
     ({"vary": {"guidance": [float("inf")]}}, "from 0 to 50"), ({"vary": {"guidance": [float("nan")]}}, "from 0 to 50"),
     ({"inputs": {"source": "bundled", "limit": 0}}, "limit"), ({"vary": {"attention": ["sliced:99999999999"]}},
         "sliced:N"),
     ({"vary": {"threads": [10**6]}}, "1024"), ({"presets": [["a"]], "vary": None}, "is no text"),
     ({"metrics": [["a"]]}, "metric")],
)  # fmt: skip
def test_a_value_out_of_its_range(change, says, tmp_path, capsys):
    line = helpers.refusal(capsys, "plan", helpers.file(tmp_path / "p.yaml", helpers.tiny(**change)))
    assert says in line and len(line) < 1300


def test_several_studies_count_together(tmp_path, capsys):
    one = "pipeline: objectclear\nstudy: s{}\nvary: {{steps: [" + ",".join(map(str, range(1, 801))) + "]}}\n"
    path = helpers.file(tmp_path / "p.yaml", "---\n".join(one.format(number) for number in range(20)))
    assert "trials together; the most is 5,000" in helpers.refusal(capsys, "plan", path)


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 100_000, "[" * 60 + "]" * 60, "NaN", "", "{", "\xff"])
def test_json_that_cannot_be_taken_in(text, tmp_path):
    path = tmp_path / f"{'0' * 16}.json"
    path.write_text(f'{{"schema": 1, "id": "{"0" * 16}", "trial": {text}, "status": "ok"}}', encoding="latin-1")
    with pytest.raises(record.Damaged, match="is damaged"):
        record.read(path)


def test_json_is_read_as_python_reads_it():
    value = {"a": [1, 2.5, None, True, "é", {"b": []}], "c": 1e-9}
    assert documents.json_value(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("words", "says"),
    [(["fit", "objectclear", "--settings", "steps=100000"], "from 1 to 1000"), (["fit", "objectclear", "--settings",
        "steps=" + "9" * 5000], "digits"),
     (["fit", "objectclear", "--settings", f"steps={LAUGHS}"], "more than 20,000"), (["fit", "objectclear", "--image",
         "9" * 5000 + "x64"], "--image"),
     (["run", "p.yaml", "--budget", "1e300h"], "longer than 23 days"), (["run", "p.yaml", "--budget", ""],
         "is not a time"),
     (["tune", "p.yaml", "--budget", "9" * 5000], "--budget"), (["plan", "x" * 5000], "no such params file")],
)  # fmt: skip
def test_arguments_that_explode(words, says, capsys):
    line = helpers.refusal(capsys, *words)
    assert says in line and len(line) < 1300
