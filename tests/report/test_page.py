"""Tables, plots, strips and the page, over records made by hand and read from real files."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import helpers
import pytest
from made_records import STAND_INS, failed, inputs_folder, measured, resolve

from mic2e_bench.errors import BadInput
from mic2e_bench.records import record
from mic2e_bench.report import figures, findings, metric_names, plots, strips, tables
from mic2e_bench.report import header as report_header
from mic2e_bench.tools.recommend import figure as recommend_figure

EVIL = "<script>alert(1)</script> a|b $x_"
MIB = 2**20


@pytest.fixture
def sweep(tmp_path):
    """Steps 2, 4, 8 and 20 (the baseline): one ran otherwise than asked, one ran out of memory."""
    study = resolve(tmp_path, baseline={"steps": 20}, vary={"steps": [2, 4, 8, 20]})
    by_steps = {trial.settings["steps"]: trial for trial in study.trials}
    results = tmp_path / "results"
    measured(study, results, by_steps[20], 20)
    measured(study, results, by_steps[2], 2)
    measured(study, results, by_steps[4], 4, "not_applied", "steps: 3 were seen")
    failed(results, by_steps[8], "oom", f"out of memory {EVIL}")
    return study, results


def test_the_terminal_table_shows_every_trial_and_credits_only_what_was_in_force(sweep):
    text = tables.text(*sweep)
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    assert "2.00 ± 0.10" in lines["steps=2"] and "10.0×" in lines["steps=2"] and "900" in lines["steps=2"]
    assert "NOT APPLIED: steps: 3 were seen" in lines["steps=4"] and "×" not in lines["steps=4"]
    assert "oom" in lines["steps=8"]
    assert "1.00×" in lines["baseline (steps=20)"]
    assert all(name in " ".join(text.split()) for name in STAND_INS)


def test_markdown_has_a_row_a_trial_with_units_in_the_header(sweep):
    found = findings.read(*sweep)
    tables.write(found)
    text = (found.folder / "table.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 4
    assert all(name in rows[0] for name in ("latency (s)", "peak RSS (MiB)", "LPIPS ↓", "PSNR (dB) ↑", "status"))
    assert "<script>" not in text and "a\\|b" in text  # neither HTML nor a new column
    assert all(name in text for name in STAND_INS)


def test_csv_holds_the_records_numbers_unrounded(sweep):
    study, results = sweep
    found = findings.read(study, results)
    tables.write(found)
    rows = list(csv.DictReader(io.StringIO((found.folder / "table.csv").read_text())))
    assert [row["id"] for row in rows] == [trial.id for trial in study.trials]
    for row, trial in zip(rows, study.trials, strict=True):
        stored = record.read(record.path_of(results, study.name, trial.id))
        assert row["status"] == stored.status
        if not stored.quality:
            assert row["latency_s"] == row["lpips"] == row["peak_rss_bytes"] == ""
            continue
        assert float(row["latency_s"]) == sorted(stored.latency_s)[1]
        assert float(row["peak_rss_bytes"]) == stored.memory["peak_rss_bytes"]
        assert float(row["lpips"]) == stored.quality["lpips"]["value"]
        assert [float(row["lpips_low"]), float(row["lpips_high"])] == stored.quality["lpips"]["ci95"]
        assert float(row["psnr_dB"]) == stored.quality["psnr"]["value"]
        assert float(row["psnr.truth.inside_dB"]) == 11.25
        assert all(name in row["stand_in"] for name in STAND_INS)


def test_a_trial_without_a_record_is_a_row_that_says_so(sweep):
    study, results = sweep
    record.path_of(results, study.name, study.trials[1].id).write_text("{")
    assert "missing: no readable record" in tables.text(study, results)


def test_a_study_of_which_nothing_was_measured_yet_has_its_tables(tmp_path):
    study = resolve(tmp_path, trials=[{"steps": 2}, {"steps": 3}])
    found = findings.read(study, tmp_path / "results")
    assert tables.main(found).text().count("missing: no readable record") == 3
    assert "steps=3" in tables.comparison(found).text() and tables.csv(found).count("missing") == 3


def test_records_of_two_machines_are_refused_unless_asked_for(sweep):
    study, results = sweep
    path = record.path_of(results, study.name, study.trials[1].id)
    helpers.rewrite(path, json.loads(path.read_text().replace('"host": "', '"host": "another-')))
    with pytest.raises(BadInput, match="--mixed"):
        tables.text(study, results)
    assert "another-" in report_header.html(findings.read(study, results, mixed=True))


def test_html_escapes_labels_and_reasons(tmp_path):
    study = resolve(tmp_path, trials=[{"steps": 2, "label": EVIL}, {"steps": 3}])
    results = tmp_path / "results"
    measured(study, results, study.baseline, 20)
    measured(study, results, study.trials[1], 2, "not_applied", EVIL)
    failed(results, study.trials[2], "error", EVIL)
    found = findings.read(study, results)
    for html in (
        tables.main(found).html(),
        tables.comparison(found).html(),
        report_header.html(found),
        strips.html(found),
    ):
        assert "<script>" not in html and "&lt;script&gt;" in html
    assert figures.png(plots.overview(found)).startswith(b"\x89PNG")  # dollar signs are no formulas


def texts(figure) -> str:
    axes = [text for one in figure.axes for text in (one.title, one.xaxis.label, one.yaxis.label, *one.texts)]
    axes += [text for one in figure.axes for text in (one.get_title(loc="left"), *one.get_xticklabels())]
    legends = [text for one in figure.legends for text in one.get_texts()]
    shown = (figure.get_suptitle(), *axes, *legends)
    return "\n".join(text if isinstance(text, str) else text.get_text() for text in shown)


def test_a_sweep_is_drawn_over_its_values_with_units_and_no_trial_dropped(sweep):
    figure = plots.overview(findings.read(*sweep))
    shown = texts(figure)
    assert all(
        name in shown for name in (*STAND_INS, "latency (s)", "peak RSS of a call (MiB)", "LPIPS", "objectclear")
    )
    assert "oom" in shown and "not as asked" in shown
    latency = figure.axes[0]
    assert [text.get_text() for text in latency.get_xticklabels()] == ["2", "4", "8", "20"]
    hollow = [line for line in latency.lines if line.get_marker() == "o" and line.get_markerfacecolor() == "white"]
    assert [list(line.get_xdata()) for line in hollow] == [[4.0]]
    crosses = [line for line in latency.lines if line.get_marker() == "x"]
    assert [list(line.get_xdata()) for line in crosses] == [[8.0]]
    assert figures.png(figure).startswith(b"\x89PNG")


def test_two_settings_are_grouped_by_the_first_and_coloured_by_the_second(tmp_path):
    study = resolve(tmp_path, baseline={"steps": 4}, vary={"precision": ["fp32", "bf16"], "steps": [2, 4]})
    for number, trial in enumerate(study.trials, 1):
        measured(study, tmp_path / "results", trial, number)
    found = findings.read(study, tmp_path / "results")
    series, ticks, is_line = plots.layout(found)
    assert not is_line and list(ticks.values()) == ["fp32", "bf16"] and list(series) == ["steps=2", "steps=4"]
    assert len(plots.overview(found).axes[0].patches) == 4
    assert all(name in texts(plots.tradeoff(found)) for name in (*STAND_INS, "baseline", "latency (s)", "LPIPS"))


def test_nothing_measured_draws_nothing_and_breaks_nothing(tmp_path):
    study = resolve(tmp_path, vary={"steps": [2]})
    for trial in study.trials:
        failed(tmp_path / "results", trial, "unavailable", "no such package")
    found = findings.read(study, tmp_path / "results")
    assert plots.overview(found) is None and plots.tradeoff(found) is None
    assert "unavailable: no such package" in tables.main(found).html() + strips.html(found)
    assert STAND_INS[0] in report_header.html(found)


def test_a_strip_names_trials_stand_ins_amplification_and_what_is_equal(tmp_path):
    study = resolve(tmp_path, vary={"steps": [2, 3, 5]})
    results = tmp_path / "results"
    measured(study, results, study.baseline, 20)
    measured(study, results, study.trials[1], 7)
    measured(study, results, study.trials[2], 1)  # the baseline's image
    failed(results, study.trials[3], "timeout", "longer than 5 s")
    html = strips.html(findings.read(study, results))
    assert all(name in html for name in (*STAND_INS, "steps=2", "identical", "the reference", "mask outlined"))
    assert "always amplified ×16" in html and "no difference" not in html and "timeout: longer than 5 s" in html
    assert html.count("<img") == 6  # the input, three images, one difference with its map
    assert not re.search(r"width:\d+px", html)  # a narrow page wraps


def test_pictures_of_random_weights_that_were_not_kept_are_said_in_words(tmp_path):
    """In the strips of the page and the notebook; the chooser then has no thumbnail."""
    results = tmp_path / "results"
    for model, words in {"random": "random weights: the picture was not kept", "bundled": "no image of this"}.items():
        study = resolve(tmp_path, vary={"steps": [2, 3]}, model=model, study=model)
        for number, trial in enumerate(study.trials, 2):
            measured(study, results, trial, number)
        shutil.rmtree(results / model / "images")
        found = findings.read(study, results)
        assert strips.html(found).count(words) == len(study.trials)
        assert recommend_figure.thumbnail(SimpleNamespace(row=found.baseline)) == ""


def test_masks_are_laid_over_the_image_and_compared(tmp_path):
    (inputs_folder(tmp_path / "inputs") / "prompts.yaml").write_text("scene: {text: ball, points: [[3, 3, 1]]}")
    study = resolve(tmp_path, pipeline="sam3", metrics=["iou"], vary={"precision": ["bf16"]})
    for number, trial in enumerate(study.trials, 1):
        measured(study, tmp_path / "results", trial, number)
    html = strips.html(findings.read(study, tmp_path / "results"))
    assert "what it adds" in html and "“ball”" in html and "the known answer" in html


def test_metrics_have_their_unit_and_the_better_direction_in_their_title():
    assert metric_names.title("psnr.truth.inside") == "PSNR truth inside (dB) ↑"
    assert metric_names.title("quality") == "quality (%) ↑"


def test_reading_needs_no_torch(sweep):
    pytest.importorskip("IPython")
    study, results = sweep
    code = (
        "import sys\nfrom pathlib import Path\nfrom mic2e_bench import notebook\n"
        f"bench = notebook.bench('vary', {study.params!r}, {str(results)!r})\n"
        "for show in (bench.measure, bench.table, bench.overview, bench.tradeoff, bench.strips): show()\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=helpers.ROOT)
