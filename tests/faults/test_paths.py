"""A path in a record or a results folder stays in its folder; what a person gives to write to is written through."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import whole_records
from helpers import command, refusal, run, tiny

from mic2e_bench import files
from mic2e_bench.errors import BadInput
from mic2e_bench.paths import is_name
from mic2e_bench.records import record
from mic2e_bench.report import findings, frame

OUTSIDE = ["../../secret.png", "../secret.png", "images/../../../secret.png", "/dev/zero", "/etc/passwd", "", "a\0b",
           "x" * 5000, "..", ".", "images", "images/link.png", "images/pipe.png", "images/loop.png",
           "out/secret.png"]  # fmt: skip


@pytest.fixture
def results(tmp_path):
    """A study of two records, and a secret beside the results."""
    of = whole_records.study(vary={"threads": [1]})
    for number, trial in enumerate(of.trials, 1):
        whole_records.write(tmp_path / "results", of, trial, number)
    folder = tmp_path / "results" / of.name
    (tmp_path / "secret.png").write_bytes((folder / "images" / "1.png").read_bytes())
    (folder / "out").symlink_to(tmp_path)
    (folder / "images" / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "images" / "loop.png").symlink_to("loop.png")
    os.mkfifo(folder / "images" / "pipe.png")
    return tmp_path / "results", of


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("where", ["image", "again"])
def test_a_picture_is_a_file_of_its_study(name, where, results, capsys):
    results, of = results
    path = record.path_of(results, of.name, of.trials[1].id)
    (image,) = json.loads(path.read_text())["images"]
    changed = {**image, "file": name} if where == "image" else {**image, "again": {**image["again"], "file": name}}
    whole_records.change(path, images=[changed])
    table, (problem,) = frame.load(results)
    assert len(table) == 1 and str(path) in problem and "\n" not in problem
    code, out, _ = command(capsys, "verify", "--results", results)
    assert code == 1 and sum(str(path) in line for line in out.splitlines()) == 1
    assert findings.read(of, results).records.keys() == {of.baseline.id}


def test_a_picture_may_be_gone_or_a_link_that_stays_inside(results):
    results, of = results
    images = results / of.name / "images"
    (images / "1.png").rename(results / of.name / "kept.png")
    (images / "1.png").symlink_to("../kept.png")
    (images / "2.png").unlink()
    assert len(frame.load(results)[0]) == 2 and frame.load(results)[1] == []


MADE = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a link out": lambda path: path.symlink_to(path.parents[2] / "other.json"),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "too large": lambda path: (path.touch(), os.truncate(path, 100 << 20)),
    "empty": lambda path: path.touch(),
    "cut short": lambda path: path.write_text('{"schema": 1, "id": "x'),
    "UTF-16": lambda path: path.write_text('{"schema": 1}', encoding="utf-16"),
    "binary": lambda path: path.write_bytes(bytes(range(256))),
    "deep": lambda path: path.write_text('{"a":' * 500 + "1" + "}" * 500),
    "deeper": lambda path: path.write_text("[" * 10**6),
    "a huge number": lambda path: path.write_text('{"schema": ' + "9" * 5000 + "}"),
}


@pytest.mark.parametrize("kind", MADE)
def test_a_record_is_a_file_of_its_study(kind, results, capsys):
    results, of = results
    path = record.path_of(results, of.name, of.trials[1].id)
    path.rename(results.parent / "other.json")
    MADE[kind](path)
    table, (problem,) = frame.load(results)
    assert len(table) == 1 and str(path) in problem and "\n" not in problem
    assert record.read_if_there(path) is None
    assert command(capsys, "recommend", of.name, "--results", results)[0] == 0
    line = refusal(capsys, "export", f"{of.name}/{of.trials[1].id}", "--results", results)
    assert path.name in line


@pytest.mark.parametrize("inner", ["", "images", "logs"])
def test_a_study_whose_folder_leads_out_is_left_alone(inner, results, capsys):
    results, _ = results
    away = results.parent / "away"
    away.mkdir()
    study = results / "tiny"
    if inner:
        study.mkdir()
    (study / inner).symlink_to(away)
    with pytest.raises(BadInput, match="is a link out of"):
        run(tiny(), results)
    assert [*away.iterdir()] == []
    if inner:
        return
    for path in record.paths(results / "whole-objectclear"):
        shutil.copy(path, away)
    table, problems = frame.load(results)
    assert set(table["study"]) == {"whole-objectclear"} and any("tiny is a link out of" in line for line in problems)
    assert "is a link out of" in refusal(capsys, "recommend", "tiny", "--results", results)
    assert "is a link out of" in command(capsys, "verify", "--results", results)[1]


def test_a_results_folder_may_be_a_link(results, tmp_path):
    results, of = results
    (tmp_path / "link").symlink_to(results)
    assert len(frame.load(tmp_path / "link")[0]) == 2 and len(findings.read(of, tmp_path / "link").records) == 2


@pytest.mark.parametrize("given", ["..", "../results/whole-objectclear", "/etc", "a/../whole-objectclear", "", "a\0b"])
def test_a_study_is_named_and_not_led_to(given, results, capsys):
    results, of = results
    refusal(capsys, "recommend", given, "--results", results)
    refusal(capsys, "export", f"{given}/{of.baseline.id}", "--results", results)


@pytest.mark.parametrize("name", ["tiny", "größe", "s.1", "a-b_c", "x" * 100, "console", "images2"])
def test_names_of_studies(name):
    assert is_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "-x", "a.", "a ", "a/b", "a\\b", "a\0", "a\n", "x" * 101, "日" * 90, "con", "NUL",
     "com1.x", "evidence", "Images", "logs", "damaged", "a:b", "\ud800"],
)  # fmt: skip
def test_names_that_no_study_may_have(name):
    assert not is_name(name)
    with pytest.raises(BadInput):
        whole_records.study(study=name)


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "there").mkdir()
    for name in ("real", "new"):
        (tmp_path / f"{name}.link").symlink_to(f"there/{name}")
    (tmp_path / "there" / "real").write_text("old")
    for name in ("real", "new"):
        files.write_whole(tmp_path / f"{name}.link", b"text")
        assert (tmp_path / f"{name}.link").is_symlink() and (tmp_path / "there" / name).read_bytes() == b"text"


def test_what_is_no_file_is_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()), daemon=True)
    reader.start()
    files.write_whole(tmp_path / "pipe", b"text")
    reader.join(10)
    assert read == [b"text"] and (tmp_path / "pipe").is_fifo()
    (tmp_path / "null").symlink_to("/dev/null")
    for path in (tmp_path / "null", Path("/dev/null")):
        files.write_whole(path, b"text")
        assert path.is_char_device()
    with pytest.raises(BadInput, match="cannot write"):
        files.write_whole(tmp_path, b"text")


@pytest.mark.parametrize("to_file", [False, True])
def test_standard_output_keeps_what_was_printed(to_file, tmp_path):
    script = "from pathlib import Path; from mic2e_bench import files; print('before'); "
    script += "files.write_whole(Path('/dev/stdout'), b'written\\n'); print('after')"
    with (tmp_path / "out").open("w+") if to_file else contextlib.nullcontext(subprocess.PIPE) as out:
        done = subprocess.run([sys.executable, "-c", script], stdout=out, check=True)
    said = (tmp_path / "out").read_bytes() if to_file else done.stdout
    assert said == b"before\nwritten\nafter\n"


def test_a_record_replaces_a_link_and_leaves_what_it_led_to(results):
    results, of = results
    path, secret = record.path_of(results, of.name, of.baseline.id), results.parent / "secret.png"
    one, before = record.read(path), secret.read_bytes()
    path.unlink()
    path.symlink_to(secret)
    record.write(results, one)
    assert not path.is_symlink() and secret.read_bytes() == before and record.read(path) == one


def test_two_outputs_of_a_comparison_are_two_files(results, tmp_path, capsys):
    folder, of = results
    (tmp_path / "link").symlink_to("x.md")
    for other in ("x.md", "link"):
        line = refusal(capsys, "compare", folder, folder, "--markdown", tmp_path / "x.md", "--junit", tmp_path / other)
        assert "a file of its own" in line and not (tmp_path / "x.md").exists()
    both = ("--markdown", "/dev/null", "--junit", "/dev/null")
    assert command(capsys, "compare", folder, folder / of.name, *both)[0] == 0
