"""The notebook that chooses: stored clean, run by papermill, interactive without a script, and nothing unescaped."""

import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import helpers
import numpy as np
import pytest
from grids import grid
from PIL import Image

from mic2e_bench.errors import BadInput

nbformat, papermill = pytest.importorskip("nbformat"), pytest.importorskip("papermill")
from mic2e_bench import notebook
from mic2e_bench.report import papermill_run
from mic2e_bench.tools.recommend import figure

NOTEBOOK = helpers.ROOT / "notebooks" / "choose.ipynb"
EVIL = "<script>alert(1)</script> & \"x\" 'y'"


@pytest.fixture
def study(tmp_path):
    """A stored grid; its first trial has a picture."""
    study = grid(tmp_path)
    with_picture(tmp_path, study, study.trials[0].id)
    return study


def with_picture(results, study, id, label=None, file="images/a.png"):
    path = results / "grid" / f"{id}.json"
    one = json.loads(path.read_text())
    one["label"] = label or one["label"]
    one["images"] = [{"input": "in0", "seed": 42, "file": file, "sha256": "0" * 64}]
    helpers.rewrite(path, one)
    (results / "grid" / "images").mkdir(exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (64, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(results / "grid" / "images" / "a.png")


def drawing(choice):
    """The interactive front, parsed: it must be well-formed."""
    text = str(figure.html(choice.made, choice.among))
    return text, ElementTree.fromstring(text).find("svg")


def test_the_notebook_is_stored_clean_and_has_its_parameters():
    content = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(content)
    code = [cell for cell in content.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert content.metadata.kernelspec.name == "python3"
    names = {"studies", "max_latency", "max_memory", "min_quality", "prefer", "metric", "results"}
    assert set(papermill.inspect_notebook(NOTEBOOK)) == names


def test_papermill_executes_it_and_the_page_makes_sense_without_a_script(tmp_path, study):
    out = tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", str(NOTEBOOK), str(out), "-k", "python3", "-r", "studies", "grid",
               "-r", "results", str(tmp_path), "-r", "max_latency", "4s", "--no-progress-bar"]  # fmt: skip
    with papermill_run.surroundings() as environment:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=NOTEBOOK.parent)
    assert done.returncode == 0, done.stderr
    assert "unknown parameter" not in done.stderr
    outputs = [out for cell in nbformat.read(out, as_version=4).cells for out in cell.get("outputs", [])]
    html = "\n".join(out.data.get("text/html", "") for out in outputs if "data" in out)
    for words in ("Best: ", "What each limit costs", "<svg", '<table class="results">'):
        assert words in html
    assert "<script" not in html


def test_every_setting_is_a_point_with_its_card(tmp_path, study):
    choice = notebook.choice("grid", str(tmp_path), max_latency="4s", min_quality="80%")
    text, root = drawing(choice)
    points = root.findall("a")
    assert len(points) == len(choice.made.points) == 30
    for point in points:
        assert point.find("title").text
        assert point.find("g").get("class").strip() == "card"
        assert point.get("tabindex") == "0"
    assert len([image for point in points for image in point.iter("image")]) == 1  # one setting has a picture
    assert text.count("data:image/jpeg;base64,") == len(list(root.iter("image")))
    assert ":hover .card" in text and ":focus .card" in text


def test_what_a_record_says_is_escaped(tmp_path, study):
    with_picture(tmp_path, study, study.trials[3].id, EVIL)
    with_picture(tmp_path, study, study.trials[4].id, "leads out", file="../../../etc/passwd")
    choice = notebook.choice("grid", str(tmp_path))
    assert any("leads out" not in reason and "outside its folder" in reason for *_, reason in choice.among.left_out)
    text, root = drawing(choice)
    titles = [title.text for title in root.iter("title")]
    assert any(title.startswith(EVIL) for title in titles)
    everything = text + choice.answer().data + choice.table().data
    assert "<script>" not in everything


def test_without_quality_the_memory_is_drawn_and_with_one_point_too(tmp_path):
    study = grid(tmp_path)
    for path in (tmp_path / "grid").glob("*.json"):
        one = json.loads(path.read_text())
        helpers.rewrite(path, {**one, "quality": {}})
    choice = notebook.choice(["grid"], str(tmp_path), max_memory="10GB")
    assert "peak VRAM" in drawing(choice)[0]
    assert "<svg" in choice.figure().data
    for trial in study.trials[1:]:
        (tmp_path / "grid" / f"{trial.id}.json").unlink()
    one = notebook.choice("grid", str(tmp_path))
    assert len(drawing(one)[1].findall("a")) == 1
    assert "<svg" in one.figure().data


def shift(results, study, seconds):
    """Other latencies in the stored records, one each."""
    for trial, value in zip(study.trials, seconds, strict=False):
        path = results / "grid" / f"{trial.id}.json"
        one = json.loads(path.read_text())
        helpers.rewrite(path, {**one, "timing": {**one["timing"], "latency_s": [value] * 3}})


@pytest.mark.parametrize(("slowest", "scale"), [(7.9, "linear"), (8.0, "log"), (400.0, "log")])
def test_an_axis_has_a_few_round_ticks_within_it_and_a_far_limit_does_not_stretch_it(tmp_path, study, slowest, scale):
    shift(tmp_path, study, [1.0, slowest, *np.linspace(1, slowest, 28)])
    choice = notebook.choice("grid", str(tmp_path), max_latency="9999s")
    (axes,) = figure.figure(choice.made, choice.among).axes
    low, high = axes.get_xlim()
    assert axes.get_xscale() == scale and low < 1.0 and slowest < high < 3 * slowest
    shown = [float(text.get_text()) for text in axes.get_xticklabels() if low <= text.get_position()[0] <= high]
    assert 2 <= len(shown) <= 12 and all(low <= value <= high for value in shown)


def test_where_nothing_fits_every_point_is_pale_and_no_card_is_shown_at_first(tmp_path, study):
    for limits in ({"max_latency": "1ms"}, {"min_quality": "100%", "max_memory": "1MB"}):
        choice = notebook.choice("grid", str(tmp_path), **limits)
        assert choice.made.best is None
        text, root = drawing(choice)
        assert len(root.findall("a")) == 30 and 'class="card first"' not in text
        (axes,) = figure.figure(choice.made, choice.among).axes
        assert {line.get_alpha() for line in axes.lines if line.get_gid()} == {0.4}


def test_what_can_be_pointed_at_lies_over_what_is_drawn(tmp_path, study):
    """The place of each point's circle is the one where the drawing has the point of that id."""
    choice = notebook.choice("grid", str(tmp_path), max_latency="4s")
    _, root = drawing(choice)
    svg = "{http://www.w3.org/2000/svg}"
    drawn = [
        [float(use.get(name)) * 96 / 72 for name in ("x", "y")]
        for group in root.iter(f"{svg}g")
        for use in group.findall(f"{svg}use")
    ]
    links = root.findall("a")
    assert len(links) == len(choice.made.points)
    for link in links:
        place = [float(link.find("circle").get(name)) for name in ("cx", "cy")]
        assert any(place == pytest.approx(spot, abs=0.2) for spot in drawn)


def test_the_same_records_give_the_same_bytes_without_a_date(tmp_path, study):
    choice = notebook.choice("grid", str(tmp_path), max_latency="4s", min_quality="80%")
    text = drawing(choice)[0]
    assert text == drawing(choice)[0]
    assert "<metadata" not in text and "<?xml" not in text and "latency of a call" in text
    assert re.findall(r"<style[^>]*>\s*(\S+)", text) == [".front-plot", ".drawn"]  # no rule for the page around it


def test_a_preference_that_does_not_exist_is_answered_with_a_line(tmp_path, study):
    with pytest.raises(BadInput, match=r"unknown preference 'qality'. Did you mean 'quality'"):
        notebook.choice("grid", str(tmp_path), prefer="qality")
