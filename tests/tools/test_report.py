"""The page of studies: the answer first and inside the noise, the same bytes from the same records, nothing endless."""

import itertools
import json
import re
import shutil

import helpers
import pytest
from made_records import STAND_INS, failed, in_rounds, measured, resolve
from markupsafe import Markup

from mic2e_bench.errors import BadInput
from mic2e_bench.machine import environment
from mic2e_bench.records import record
from mic2e_bench.report import findings, papermill_run
from mic2e_bench.tools.report import answer, claim, detail, page

EVIL = "<script>alert(1)</script> a|b $x_"


def said(folder, *others, baseline=10.0, **changes):
    """The answer of a study of steps: ``others`` are (steps, seconds, told, quality)."""
    study = resolve(folder, baseline={"steps": 20}, vary={"steps": [20, *(steps for steps, *_ in others)]})
    by_steps = {trial.settings["steps"]: trial for trial in study.trials}
    if baseline:
        in_rounds(study, folder / "results", by_steps[20], baseline, "same", 100.0)
    for steps, *measured_as in others:
        in_rounds(study, folder / "results", by_steps[steps], *measured_as, **changes)
    return answer.of(findings.read(study, folder / "results").short)


def test_what_is_as_good_and_faster_outside_the_noise_is_what_to_set(tmp_path):
    found = said(tmp_path, (8, 5.0, "rounding", 99.4), (4, 2.5, "visible", 90.0))
    assert found.head == "steps=8"
    assert found.sentence == "2.00× [2.00, 2.00] faster, pictures that cannot be told from the baseline's."
    assert (
        found.more[0] == "Faster still, but its pictures differ visibly: steps=4: 4.00× [4.00, 4.00], quality 90.0 %."
    )
    assert found.more[1].endswith("mic2e-bench recommend objectclear-steps --min-quality 90%")
    assert found.among.stand_ins == findings.SHORT


def test_memory_counts_outside_its_noise_alone(tmp_path):
    less = said(tmp_path / "less", (8, 10.0, "same", 100.0), memory={"peak_rss_bytes": 600 * 2**20})
    assert less.sentence == "33 % less peak RSS, the baseline's very pictures."
    near = said(tmp_path / "near", (8, 10.0, "same", 100.0), memory={"peak_rss_bytes": 880 * 2**20})
    assert near.head == "the baseline" and near.sentence == "no setting is faster outside the noise."
    saved = {share: claim.Claim(None, None, share, None).saves_memory for share in (None, -0.2, 0.0015, 0.02)}
    assert saved == {None: False, -0.2: False, 0.0015: False, 0.02: True}  # 1 MiB of 693 is no reason to set anything


def test_nothing_is_claimed_without_an_interval(tmp_path):
    found = said(tmp_path, (8, 2.0, "rounding", 99.4), timing={"latency_s": [2.0] * 8})
    assert found.head == "the baseline" and found.set is None and found.faster is None
    assert found.sentence == "no setting is faster outside the noise (no interval: not interleaved, 1 of 1)."


def test_the_fastest_is_named_above_a_floor_of_quality_only(tmp_path):
    found = said(tmp_path, (8, 5.0, "visible", 95.5), (2, 1.0, "visible", 60.0))
    assert found.head == "the baseline" and found.faster.point.label == "steps=8"
    below = said(tmp_path / "below", (2, 1.0, "visible", 60.0))
    assert below.faster is None and below.sentence == "what is faster has less than 85 % quality."


def test_without_records_or_a_baseline_it_says_so(tmp_path):
    empty = resolve(tmp_path, vary={"steps": [2, 3]})
    found = answer.of(findings.read(empty, tmp_path / "results"))
    assert found.sentence == "No answer: nothing is measured yet."
    assert found.more == ("Half-finished: 3 of 3 trials have no record yet (mic2e-bench run).",)
    found = said(tmp_path / "no baseline", (8, 5.0, "rounding", 99.0), baseline=None)
    assert "the baseline has no record yet" in found.sentence and "1 of 2 trials" in found.more[0]
    broken = resolve(tmp_path / "oom", study="oom")
    failed(tmp_path / "results", broken.baseline, "oom", EVIL)
    assert answer.of(findings.read(broken, tmp_path / "results")).sentence.startswith("No answer: nothing to choose")


def test_a_record_of_a_newer_version_is_named_and_left_out(tmp_path):
    study = resolve(tmp_path, vary={"steps": [2]})
    for number, trial in enumerate(study.trials, 1):
        in_rounds(study, tmp_path / "results", trial, number)
    path = record.path_of(tmp_path / "results", study.name, study.trials[1].id)
    helpers.rewrite(path, {**json.loads(path.read_text()), "schema": 99})
    found = answer.of(findings.read(study, tmp_path / "results"))
    assert "Left out, because they cannot be read: 1 records; the detail names them." in found.more


def test_long_tables_and_too_many_pictures_are_cut_with_a_word():
    rows = "".join(f'<tr class=""><td>{number}</td></tr>' for number in range(1200))
    html = detail.cut(Markup(f"<table><tbody>{rows}</tbody></table><p>after</p>"), "table.csv")
    assert html.count("<tr") == detail.MOST_ROWS and "700 more rows are left out here" in html
    assert 'href="table.csv"' in html and html.endswith("<p>after</p>")
    picture = Markup('<img alt="a" src="data:image/png;base64,' + "A" * 400 + '">')
    fitted = detail.within(1000)
    assert fitted(picture * 2, "x").count("<img") == 2
    assert "1 more pictures" in fitted(picture, "x") and "<img" not in fitted(picture, "x")


def test_headings_go_down_and_stand_ins_are_named_once():
    assert detail.lowered(Markup('<h2 id="a">b</h2><h5>c</h5>'), 2) == '<h4 id="a">b</h4><h6>c</h6>'
    assert detail.credited(Markup("sam3: a &amp; b."), "a & b") == f"sam3: {findings.SHORT}."


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A study with every kind of trial and the page of it, whose notebook took a kernel."""
    pytest.importorskip("nbformat")
    folder = tmp_path_factory.mktemp("report")
    study = resolve(folder, baseline={"steps": 20}, vary={"steps": [2, 4, 8, 20]})
    by_steps = {trial.settings["steps"]: trial for trial in study.trials}
    measured(study, folder / "results", by_steps[20], 20)
    measured(study, folder / "results", by_steps[2], 2)
    measured(study, folder / "results", by_steps[4], 4, "not_applied", "steps: 3 were seen")
    failed(folder / "results", by_steps[8], "oom", f"out of memory {EVIL}")
    return study, folder / "results", page.write([study], folder / "results")


def test_the_page_is_one_file_that_needs_nothing_else(written):
    study, results, path = written
    assert path == results / study.name / "report.html"
    html = path.read_text()
    assert "<script" not in html and "&lt;script&gt;" in html
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?(https?:)?//""", html)
    assert html.count('src="data:image/') >= 4
    for words in (*STAND_INS, "steps=4", "NOT APPLIED", "oom", environment.here("cpu")["host"], "amplified ×"):
        assert words in html
    assert html.count(findings.SHORT) > 3 and html.count("; ".join(STAND_INS)) == 1
    assert (path.parent / "sweep.ipynb").is_file() and (path.parent / "table.csv").is_file()
    levels = [int(level) for level in re.findall(r"<h([1-6])", html)]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert html.count("<main") == html.count("<nav") == 1


def test_the_same_records_give_the_same_page_and_start_no_kernel(written, tmp_path, monkeypatch):
    study, results, path = written
    monkeypatch.setattr(papermill_run.subprocess, "Popen", None)  # nothing starts
    for name in ("one", "two"):
        shutil.copytree(results, tmp_path / name)
        assert page.write([study], tmp_path / name).read_bytes() == path.read_bytes()


def test_a_notebook_is_executed_again_where_anything_of_it_is_another(written, tmp_path, monkeypatch):
    study, results, _ = written
    due = []
    monkeypatch.setattr(papermill_run, "all_of", lambda studies, *_: due.append([one.name for one in studies]))
    shutil.copytree(results, tmp_path / "results")
    mine = tmp_path / "results" / study.name
    page.write([study], tmp_path / "results")
    page.write([study], tmp_path / "results", mixed=True)
    page.write([study], tmp_path / "results")
    (mine / "sweep.ipynb").write_text((mine / "sweep.ipynb").read_text() + " ")
    page.write([study], tmp_path / "results")
    measured(study, tmp_path / "results", study.trials[1], 3)
    page.write([study], tmp_path / "results")
    assert due == [[], [study.name], [study.name], [study.name], [study.name]]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    study = resolve(tmp_path)
    measured(study, tmp_path / "results", study.baseline, 2)
    (tmp_path / "results" / ".made_from.json.lock").mkdir()
    with pytest.raises(BadInput, match=r"cannot write .*Give a folder that can be written"):
        page.write([study], tmp_path / "results")
