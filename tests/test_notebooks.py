"""The notebooks as stored, and run by papermill as a person runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from made_records import STAND_INS, measured, resolve

from mic2e_bench.errors import BadInput
from mic2e_bench.plan import params

nbformat, papermill = pytest.importorskip("nbformat"), pytest.importorskip("papermill")
from mic2e_bench import notebook
from mic2e_bench.report import papermill_run
from mic2e_bench.tools.throughput import record
from mic2e_bench.tools.throughput import study as throughput_study

FOLDER = Path(__file__).parent.parent / "notebooks"
NAMES = ("sweep.ipynb", "presets.ipynb")


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_stored_clean_and_its_parameters_are_the_keys_of_a_params_file(name):
    content = nbformat.read(FOLDER / name, as_version=4)
    nbformat.validate(content)
    code = [cell for cell in content.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert content.metadata.kernelspec.name == "python3"
    assert set(papermill.inspect_notebook(FOLDER / name)) == {*params.KEYS, "results", "mixed"}


@pytest.mark.parametrize(("name", "example"), [("sweep.ipynb", "vary"), ("presets.ipynb", "presets")])
def test_the_example_of_a_notebook_is_a_study(name, example):
    content = nbformat.read(FOLDER / name, as_version=4)
    values = {}
    exec(next(cell.source for cell in content.cells if "parameters" in cell.metadata.get("tags", [])), values)
    given = {key: values[key] for key in params.KEYS}
    assert len(notebook.bench(example, given).study.trials) > 2


def test_a_params_file_gives_the_same_study_as_on_the_command_line(tmp_path):
    given = {"pipeline": "objectclear", "model": "random", "trials": [{"steps": 3}, {"precision": "bf16"}]}
    of_file = params.resolve_study(given)
    of_notebook = notebook.bench("vary", {**dict.fromkeys(params.KEYS), "vary": {"steps": [4]}, **given}).study
    assert [trial.id for trial in of_notebook.trials] == [trial.id for trial in of_file.trials]
    assert of_notebook.name == of_file.name


SERVED = {"pipeline": "objectclear", "model": "bundled", "inputs": {"source": "bundled", "limit": 1}}


def test_the_notebook_of_throughput_is_stored_clean_and_gives_the_study_of_a_params_file():
    content = nbformat.read(FOLDER / "throughput.ipynb", as_version=4)
    nbformat.validate(content)
    code = [cell for cell in content.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    names = set(papermill.inspect_notebook(FOLDER / "throughput.ipynb")) - {"results"}
    assert names >= {*throughput_study.SHARED, "kind", *throughput_study.kinds()}
    values = {}
    exec(next(cell.source for cell in code if "parameters" in cell.metadata.get("tags", [])), values)
    asked = {"kind": "life", "life": {"calls": 3}, **SERVED}
    of_file = throughput_study.resolve(asked)
    shown = notebook.throughput({name: asked.get(name, values[name]) for name in names}).study
    assert shown.points == of_file.points and shown.study.baseline.id == of_file.study.baseline.id


def test_the_notebook_of_throughput_shows_what_has_records(tmp_path):
    asked = {"study": "s", "kind": "life", "life": {"calls": 40, "cold": 0}, **SERVED}
    found = throughput_study.resolve(asked)
    run = {"rss_bytes": [1 << 30] * 40, "latency_s": [0.5] * 40, "service_s": [0.5] * 40, "died": []}
    run["starts"] = [{"at": 0, "end_s": 0.0, "load_s": 0.5, "start_s": 0.7}]
    for point in found.points:
        content = {"kind": "life", "id": record.identity(found, point), "study": "s", "label": point.label}
        content |= {"status": "ok", "reason": "", "asked": dict(point.asked), "runs": [run], "environment": {}}
        record.write(tmp_path, {**content, "trial": found.study.baseline.content})
    assert "no growth of memory is shown" in notebook.throughput(asked, str(tmp_path)).measure().data


def test_folders_are_found_from_within_the_notebooks_folder(monkeypatch):
    monkeypatch.chdir(FOLDER)
    bench = notebook.bench(
        "vary", {"pipeline": "objectclear", "model": "random", "inputs": "mic2e_bench/bundled/inputs"}
    )
    assert bench.study.baseline.inputs["items"]


def test_papermill_runs_a_params_file_by_itself(tmp_path):
    study = resolve(tmp_path, baseline="ORIGINAL", presets=["BALANCED", "ULTRA_FAST"])
    results = tmp_path / "results"
    for number, trial in enumerate(study.trials, 1):
        measured(study, results, trial, number)
    file, out = tmp_path / "x.yaml", tmp_path / "out.ipynb"
    file.write_text(yaml.safe_dump({**study.params, "metrics": ["lpips", "psnr"]}, sort_keys=False))
    command = [
        sys.executable,
        "-m",
        "papermill",
        "presets.ipynb",
        str(out),
        "-f",
        str(file),
        "-p",
        "results",
        str(results),
    ]
    with papermill_run.surroundings() as environment:
        done = subprocess.run(command, cwd=FOLDER, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "unknown parameter" not in done.stderr
    outputs = [out for cell in nbformat.read(out, as_version=4).cells for out in cell.get("outputs", [])]
    html = "\n".join(out.data.get("text/html", "") for out in outputs if "data" in out)
    assert all(words in html for words in ("BALANCED", "speed against the baseline", "0.500×", *STAND_INS))


def test_an_error_in_a_notebook_is_one_line(tmp_path, monkeypatch):
    study = resolve(tmp_path, vary={"steps": [2]})
    source = tmp_path / "failing.ipynb"
    cells = [
        nbformat.v4.new_code_cell("study = None"),
        nbformat.v4.new_code_cell("raise ValueError('no\\nsuch thing')"),
    ]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), source)
    with papermill_run.surroundings() as environment:
        (tmp_path / "results" / study.name).mkdir(parents=True)
        problem = papermill_run.one(source, study, tmp_path / "results", False, environment, [])
    assert problem.startswith("no such thing (ValueError") and os.linesep not in problem


def by_papermill(tmp_path, name, *words):
    """A notebook run as a person runs it; the process, and where its result lies."""
    out = tmp_path / name
    command = [sys.executable, "-m", "papermill", name, str(out), "--no-progress-bar", *words]
    with papermill_run.surroundings() as environment:
        return subprocess.run(command, cwd=FOLDER, env=environment, capture_output=True, text=True), out


def test_the_start_page_is_whole_without_a_person_and_makes_a_page(tmp_path):
    done, out = by_papermill(tmp_path, "start.ipynb", "-p", "results", str(tmp_path / "results"))
    assert done.returncode == 0, done.stderr
    content = nbformat.read(out, as_version=4)
    outputs = [each for cell in content.cells for each in cell.get("outputs", [])]
    html = "\n".join(each.data.get("text/html", "") for each in outputs if "data" in each)
    assert "trials run on" in html and "../params/demo/02-objectclear-steps.yaml" in html
    assert not any("widget" in kind for each in outputs for kind in each.get("data", {}))
    from nbconvert import HTMLExporter

    assert "Three ways on" in HTMLExporter().from_notebook_node(content)[0]


def test_a_parameter_that_does_not_exist_is_one_clear_line(tmp_path):
    done, out = by_papermill(tmp_path, "choose.ipynb", "-p", "max_latncy", "4s")
    assert done.returncode != 0
    (error,) = [
        each
        for cell in nbformat.read(out, as_version=4).cells
        for each in cell.get("outputs", [])
        if each.output_type == "error"
    ]
    assert error.evalue.startswith("papermill: unknown parameter 'max_latncy'. Did you mean 'max_latency'?")
    assert error.traceback == [f"mic2e-bench: {error.evalue}"]


def test_what_papermill_gave_is_told_from_what_a_person_wrote():
    cells = ["", "study = None\nvary = {}", "# Parameters\nvary = {'steps': [1]}\n", "check"]
    notebook.check_parameters(cells)
    notebook.check_parameters(["study = None", "nosuch = 1"])
    with pytest.raises(BadInput, match="unknown parameter 'vry'"):
        notebook.check_parameters([*cells[:2], "# Parameters\nvry = 1\n"])


def test_the_notebook_of_a_search_tells_a_missing_one_in_one_line(tmp_path):
    content = nbformat.read(FOLDER / "tune.ipynb", as_version=4)
    nbformat.validate(content)
    code = [cell for cell in content.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert set(papermill.inspect_notebook(FOLDER / "tune.ipynb")) == {"study", "results"}
    with pytest.raises(BadInput, match="no search is stored there"):
        notebook.searched("nosuch", str(tmp_path))
