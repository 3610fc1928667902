"""Results folders as they are found: none, empty, half-finished, of another version, a file, not to be written, huge.

Every command that takes one answers with what there is, or with a line and exit code 2; and what lies there stays.
"""

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import helpers
import numpy as np
import pytest
import whole_records
from helpers import command, refusal, tiny

from mic2e_bench.records import record
from mic2e_bench.report import frame
from mic2e_bench.tools.recommend import pareto

OF = "whole-objectclear"


def cut(path):
    path.write_bytes(path.read_bytes()[:300])


def later(path):
    timing = json.loads(path.read_text())["timing"]
    whole_records.change(path, of_later={"a": [1]}, timing={**timing, "of_later_s": [1.0]})


# what is done to each record of a study of four, the baseline first
DAMAGE = {
    "whole": [],
    "torn": [cut],
    "all torn": [cut] * 4,
    "empty file": [lambda path: path.write_bytes(b"")],
    "no baseline": [Path.unlink],
    "no records": [Path.unlink] * 4,
    "newer": [lambda path: whole_records.change(path, schema=2)] * 4,
    "keys of later": [later] * 4,
    "no images": [lambda path: shutil.rmtree(path.parent / "images")],
    "a folder named like a record": [lambda path: (path.unlink(), path.mkdir())],
}
NOTHING = ("all torn", "no records", "newer")  # there is no record that this version can read


@pytest.fixture(scope="module")
def study():
    return whole_records.study()


def made(folder, study, state):
    paths = [whole_records.write(folder, study, trial, number) for number, trial in enumerate(study.trials, 1)]
    for act, path in zip(DAMAGE[state], paths, strict=False):
        act(path)
    return folder


def tree(folder):
    """What lies in a folder, by name."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def reading(study, folder, out):
    """The commands that read a results folder; by what each may answer where no record can be read."""
    name, shown = f"{OF}/{study.trials[1].id}", ("--results", folder)
    return {
        ("recommend", OF, "--with-disturbed", *shown): (2,),
        ("export", name, *shown): (2,),
        ("share", "--parquet", out / "a.parquet", *shown): (2,),
        ("compare", folder, folder): (2,),
        ("list", "toggles", *shown): (0,),
        ("verify", *shown): (0, 1),
        ("tables", "--check", *shown): (0, 1),
    }


@pytest.mark.parametrize("state", DAMAGE)
def test_a_folder_that_is_half_finished_or_of_another_version(state, study, tmp_path, capsys):
    pytest.importorskip("pyarrow")
    folder, out = made(tmp_path / "results", study, state), tmp_path / "out"
    out.mkdir()
    before, base = tree(folder), shutil.copytree(folder, tmp_path / "base")
    for words, codes in reading(study, folder, out).items():
        # a folder is not compared with itself
        words = ("compare", base, folder) if words[0] == "compare" else words
        code, said, err = command(capsys, *words)
        assert code in (codes if state in NOTHING else (0, 1)), (words, code, err)
        assert all(not line.startswith("Traceback") for line in err.splitlines())
        if code == 2:
            assert said == "" and len(err.splitlines()) == 1
    assert tree(folder) == before


@pytest.mark.parametrize("state", ["all torn", "no records", "newer"])
def test_a_record_that_cannot_be_read_is_not_reproduced(state, study, tmp_path, capsys):
    folder = made(tmp_path / "results", study, state)
    before = tree(folder)
    line = refusal(capsys, "reproduce", f"{OF}/{study.trials[1].id}", "--results", folder)
    assert {"all torn": "damaged", "no records": "has no trial", "newer": "a newer mic2e-bench"}[state] in line
    assert tree(folder) == before and not (folder / "reproduced").exists()


@pytest.mark.parametrize("place", ["nowhere", "a file", "a file/below", "empty"])
def test_a_folder_that_is_not_there_or_is_none_or_empty(place, study, tmp_path, capsys):
    (tmp_path / "a file").write_text("mine")
    (tmp_path / "empty").mkdir()
    folder, name = tmp_path / place, f"{OF}/{study.trials[1].id}"
    commands = [*reading(study, folder, tmp_path), ("reproduce", name, "--results", folder)]
    for words in commands:
        if place == "empty" and words[0] in ("list", "verify", "tables"):
            assert command(capsys, *words)[0] in (0, 1)  # nothing is wrong with it
            continue
        line = refusal(capsys, *words)
        assert str(folder) in line and "Traceback" not in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a file", "empty"]
    assert (tmp_path / "a file").read_text() == "mine" and not [*(tmp_path / "empty").iterdir()]


@pytest.mark.parametrize("place", ["a file", "a file/below", "/proc/mic2e-bench"])
def test_a_folder_that_cannot_be_written(place, study, tmp_path, capsys):
    """``run`` and ``report``: tests/test_cli.py."""
    (tmp_path / "a file").write_text("mine")
    results, where = made(tmp_path / "results", study, "whole"), tmp_path / place
    space = helpers.file(tmp_path / "space.yaml", tiny(vary=None, space={"steps": [1, 2]}))
    for words in (
        ("tune", space, "--results", where, "--budget", "2"),
        ("reproduce", f"{OF}/{study.trials[1].id}", "--results", results, "--into", where),
        ("share", "--results", results, "--parquet", where / "a.parquet"),
        ("collect", results, "--into", where),
    ):
        code, _, err = command(capsys, *words)
        assert code == 2 and "Traceback" not in err, (words, err)
    assert (tmp_path / "a file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not hold for root")
def test_a_folder_without_permission(study, tmp_path, capsys):
    folder = made(tmp_path / "results", study, "whole")
    try:
        for mode, may in ((0o500, (0, 1)), (0o000, (2,))):
            (folder / OF).chmod(mode)
            for words in reading(study, folder, tmp_path):
                assert command(capsys, *words)[0] in (*may, 0, 1, 2)
    finally:
        (folder / OF).chmod(0o700)
    assert len(record.paths(folder / OF)) == 4


def test_a_folder_of_thousands_is_answered_in_seconds(study, tmp_path, capsys):
    """A tenth of what the project promises, 20,000, so that the test is short; the time grows no faster than they."""
    folder, count = made(tmp_path / "results", study, "whole"), 2000
    path = folder / OF / f"{study.trials[1].id}.json"
    text = path.read_text()
    for number in range(count):
        id = f"{number:016x}"
        (path.parent / f"{id}.json").write_text(text.replace(path.stem, id))
    begin = time.process_time()
    code, out, _ = command(capsys, "recommend", OF, "--with-disturbed", "--results", folder)
    assert code == 0 and f"{count + 4} settings measured" in out
    assert len(frame.load(folder)[0]) == count + 4
    assert time.process_time() - begin < 20
    shutil.rmtree(folder)  # pytest keeps the folders of three runs


def test_a_front_of_twenty_thousand_points_takes_seconds():
    costs, begin = np.random.default_rng(0).random((20_000, 3)), time.process_time()
    found = pareto.standing(costs, np.full(costs.shape, 0.001))
    assert found.count(pareto.FRONT) == pareto.nondominated(costs).sum() > 10
    assert time.process_time() - begin < 20
