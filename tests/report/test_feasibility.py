"""The map of what fits into memory, over two axes."""

import helpers
import pytest
from helpers import tiny

from mic2e_bench.records import record
from mic2e_bench.report import feasibility, findings

SIZES = {"resolution": [64, 72, 80], "batch": [1, 2]}


@pytest.fixture
def mapped(tmp_path):
    study = helpers.study(tiny(vary={**SIZES, "precision": ["fp32", "bf16"]}))
    for trial in study.trials:
        side, batch, precision = (trial.settings[name] for name in ("resolution", "batch", "precision"))
        status = "ok" if side < 80 else "oom" if batch == 1 else "skipped"
        if precision == "bf16" and side == 64:
            continue
        measured = {"timing": {"latency_s": [0.5]}, "memory": {"peak_rss_bytes": side * 2**20}}
        reason, parts = ("", measured) if status == "ok" else ("because", {})
        record.write(tmp_path, record.make(trial, status, reason, **parts))
    return study, findings.read(study, tmp_path)


def test_the_map_of_what_fits(mapped):
    _, found = mapped
    made = feasibility.of(found).table()
    assert made.header == (
        "resolution", "batch 1, precision fp32", "batch 1, precision bf16",
        "batch 2, precision fp32", "batch 2, precision bf16",
    )  # fmt: skip
    rows = {row[0]: row[1:] for row in made.rows}
    assert list(rows) == ["64", "72", "80"]
    assert rows["64"][0].startswith("64.0 MiB") and rows["64"][1] == "not measured yet"
    assert rows["80"] == ("out of memory", "out of memory", "skipped", "skipped")
    html = feasibility.html(found)
    assert (
        html.count('<td class="w fails">out of memory</td>') == 2
        and html.count('<td class="w skipped">skipped</td>') == 2
    )
    assert html.count('<td class="w fits">64.0 MiB') == 2 and "style=" not in html and "rowgroup" not in html
    assert "out of memory" in feasibility.text(found) and "not tried" in feasibility.text(found)


def test_what_else_varies_is_a_group_of_rows_of_the_one_table(tmp_path):
    study = helpers.study(tiny(vary={**SIZES, "steps": [2, 3]}))
    for trial in study.trials:
        record.write(tmp_path, record.make(trial, "ok", timing={"latency_s": [0.5]}))
    found = findings.read(study, tmp_path)
    html = feasibility.html(found)
    assert html.count("<table") == 1 and html.count("<caption") == 0
    assert [f'colspan="3">steps {steps}</th>' in html for steps in (1, 2, 3)] == [True] * 3
    table = feasibility.of(found).table()
    assert table.header == ("", "resolution", "batch 1", "batch 2")
    assert [row[:2] for row in table.rows] == [(f"steps {s}", str(side)) for s in (1, 2, 3) for side in (64, 72, 80)]


def test_the_caption_explains_only_what_the_map_shows(tmp_path):
    study = helpers.study(tiny(vary=SIZES))
    for trial in study.trials:
        record.write(tmp_path, record.make(trial, "ok", timing={"latency_s": [0.5]}))
    assert "not tried" not in feasibility.text(findings.read(study, tmp_path))


ONE_AT_A_TIME = [{"resolution": 64}, {"precision": "bf16"}]


@pytest.mark.parametrize("chosen", [{"vary": {"resolution": [64, 72]}}, {"vary": None, "trials": ONE_AT_A_TIME}])
def test_no_map_of_one_axis_nor_of_changes_one_at_a_time(chosen, tmp_path):
    study = helpers.study(tiny(**chosen))
    assert feasibility.html(findings.read(study, tmp_path)) == feasibility.text(findings.read(study, tmp_path)) == ""
