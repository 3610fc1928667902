"""Working copies, names of one's own, ports, and a run that is stopped."""

import json
import shutil
import socket
from pathlib import Path

import pytest
from made_records import measured, resolve

from mic2e_bench import cli
from mic2e_bench.errors import BadInput
from mic2e_bench.tools.lab import copies, names, planned, server, studies

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def workbench(tmp_path, monkeypatch):
    for name in ("notebooks", "params"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def change(path, words):
    content = json.loads(path.read_text())
    content["cells"][0]["source"] = [words]
    path.write_text(json.dumps(content))


def test_a_copy_is_made_anew_unless_a_person_edited_it(workbench):
    assert copies.make() == []
    original, copy = workbench / "notebooks" / "sweep.ipynb", workbench / "lab" / "sweep.ipynb"
    change(original, "a newer one")
    assert copies.make() == [] and "a newer one" in copy.read_text()
    change(copy, "mine")
    (said,) = copies.make()
    assert said.startswith("lab/sweep.ipynb: you edited it") and "mine" in copy.read_text()
    change(original, "newer still")
    assert "notebooks/sweep.ipynb has changed since" in copies.make()[0] and "mine" in copy.read_text()


def test_outputs_are_no_edit_and_a_damaged_copy_is_kept(workbench):
    copies.make()
    copy = workbench / "lab" / "start.ipynb"
    content = json.loads(copy.read_text())
    content["cells"][1]["execution_count"] = 7
    copy.write_text(json.dumps(content))
    assert copies.make() == [] and json.loads(copy.read_text())["cells"][1]["execution_count"] == 7
    copy.write_text("{")
    assert len(copies.make()) == 1 and copy.read_text() == "{"


def test_a_port_that_is_taken_and_a_folder_that_cannot_be_written_are_one_line(workbench, capsys):
    with socket.socket() as taken:
        taken.bind((server.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["lab", "--port", str(port), "--no-browser"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"mic2e-bench: --port {port}: ") and error.count("\n") == 1
    assert cli.main(["lab", "--port", "99999"]) == 2
    (workbench / "lab").write_text("a file")
    assert cli.main(["lab", "--no-browser"]) == 2
    assert "make it writable" in capsys.readouterr().err


def test_a_name_of_ones_own_joins_no_other_study(workbench):
    params, results = {"pipeline": "objectclear", "vary": {"steps": [4]}}, workbench / "results"
    assert names.own(params, results) == "my-objectclear-steps"
    folder = results / "my-objectclear-steps"
    folder.mkdir(parents=True)
    (folder / f"{'0' * 16}.json").write_text("{}")  # another study's
    assert names.own(params, results) == "my-objectclear-steps-2"


def test_a_plan_tells_what_is_measured_and_estimates_the_rest(tmp_path):
    study = resolve(tmp_path, vary={"steps": [2, 4]})
    measured(study, tmp_path / "results", study.baseline, 1)
    found = planned.of(study, tmp_path / "results")
    assert found.to_measure == len(study.trials) - 1 and found.total_s > found.import_s
    state = studies.of_study(study, tmp_path / "results")
    assert (state.measured, state.failed) == (1, 0)
    assert "trials to measure, about" in found.headline()
    assert found.table().rows[0][1].startswith("measured")


def test_the_state_of_every_params_file_is_known(workbench):
    found = {state.name: state for state in studies.states(workbench / "results")}
    assert found["objectclear-steps"].planned == 3 and not found["objectclear-steps"].problem
    assert "presets" not in found


def test_bad_params_are_a_line(workbench):
    with pytest.raises(BadInput, match="unknown setting"):
        names.own({"pipeline": "objectclear", "vary": {"stepz": [4]}}, workbench / "results")
