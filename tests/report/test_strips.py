"""Strips of pictures: what leads to the stored ones, what is identical, one amplification."""

import re

import helpers
import numpy as np
import pytest
from helpers import tiny
from PIL import Image

from mic2e_bench.records import record
from mic2e_bench.report import findings, papermill_run, pixels, strips
from mic2e_bench.tools.report import detail

GREY = 100  # the baseline's pictures; those of the trials add 0, 1, 3 and 200


@pytest.fixture
def shown(tmp_path):
    study = helpers.study(tiny(vary={"steps": [2, 3, 4, 5]}))
    (tmp_path / study.name / "images").mkdir(parents=True)
    name, seed = next(iter(study.baseline.inputs["items"])), study.baseline.protocol["seeds"][0]
    files = ["images/base.png", "images/same.png", "images/a b#1.png", "images/gone.png", "images/../../out.png"]
    for trial, file, more in zip(study.trials, files, (0, 0, 1, 3, 150), strict=True):
        Image.new("RGB", (40, 30), (GREY + more,) * 3).save(tmp_path / study.name / file)
        entry = {"input": name, "seed": seed, "file": file, "sha256": "0" * 64}
        record.write(tmp_path, record.make(trial, "ok", timing={"latency_s": [0.5]}, images=[entry]))
    (tmp_path / study.name / "images/gone.png").unlink()
    return findings.read(study, tmp_path)


def links(html):
    return re.findall(r'href="([^"]*)"', html)


def test_a_thumbnail_leads_to_its_file_where_it_is_known_where_the_page_lies(shown):
    assert links(strips.html(shown)) == []
    beside = links(strips.html(shown, base=""))
    assert beside[:3] == ["images/base.png", "images/same.png", "images/a%20b%231.png"]
    assert len(beside) == 3  # none to a file that is gone nor to one elsewhere
    assert links(strips.html(shown, base="tiny/"))[0] == "tiny/images/base.png"


def test_a_notebook_has_links_only_where_it_is_executed_beside_the_pictures(shown, monkeypatch):
    pytest.importorskip("IPython")
    from mic2e_bench.notebook.bench import Bench

    bench = Bench(shown.study, shown.folder.parent)
    assert links(bench.strips().data) == []  # in JupyterLab, from a working copy
    monkeypatch.setenv(papermill_run.LIES_IN, str(shown.folder.parent))
    assert links(bench.strips().data) == []
    monkeypatch.setenv(papermill_run.LIES_IN, str(shown.folder.resolve()))
    assert links(bench.strips().data)[0] == "images/base.png"


def test_the_page_of_several_studies_leads_into_the_folder_of_each(shown):
    html = detail.leading(strips.html(shown, base=""), "a%20study/")
    assert links(html)[2] == "a%20study/images/a%20b%231.png"


def test_a_picture_left_out_of_a_page_for_its_size_still_leads_to_its_file(shown):
    html = detail.within(0)(strips.html(shown, base=""), "sweep.ipynb")
    assert "<img" not in html and '<figure class="strip">' in html and html.count(">full-size picture</a>") == 3


def test_identical_pictures_say_so_and_have_no_black_square(shown):
    asked = shown.study.baseline
    made = strips.strip(shown, next(iter(asked.inputs["items"])), asked.protocol["seeds"][0])
    same = next(cell for cell in made["cells"] if cell.name == "steps=2")
    assert (same.below, same.second, same.third) == ("identical", None, None)


def test_all_differences_have_one_amplification():
    base = Image.new("RGB", (4, 4), (GREY,) * 3)
    for more in (1, 3, 150):
        apart = pixels.difference(Image.new("RGB", (4, 4), (GREY + more,) * 3), base)
        assert (np.asarray(apart) == min(255, more * pixels.GAIN)).all()
    assert pixels.difference(base, base) is None
