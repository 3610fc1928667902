"""What was disturbed has its mark in every table, and every table says what the mark means."""

import json

import helpers
import pytest
from made_records import failed, measured, resolve

from mic2e_bench.records import record
from mic2e_bench.report import breakdown, findings, footnotes, payoff, tables

WHY = "other processes used 34% of the processors"


def study(tmp_path, disturbed):
    """Steps 20 (the baseline), 2 and 4, of which some were disturbed, and 8, which failed."""
    of = resolve(tmp_path, baseline={"steps": 20}, vary={"steps": [2, 4, 8, 20]})
    results = tmp_path / "results"
    for trial in of.trials:
        steps = trial.settings["steps"]
        if steps == 8:
            failed(results, trial, "oom", "out of memory")
            continue
        measured(of, results, trial, steps)
        path = record.path_of(results, of.name, trial.id)
        one = json.loads(path.read_text())
        here = {**one["environment"], "disturbed": [WHY] if steps in disturbed else []}
        timing = {**one["timing"], "witnessed_s": 2.0, "component_s": {"unet": [1.0]}}
        helpers.rewrite(path, {**one, "environment": here, "timing": timing})
    return findings.read(of, results)


def every(found):
    more = tables.more_metrics(found)
    return [tables.main(found), tables.comparison(found), *more, *breakdown.all_of(found), payoff.table(found)]


def rows(table):
    """The cells of each trial, by its label."""
    by_trial = table.rows if table.header[0] else [*zip(table.header, *table.rows, strict=True)][1:]
    return {str(row[0]).replace(" †", ""): [str(cell) for cell in row] for row in by_trial}


@pytest.mark.parametrize("disturbed", [(), (2,), (20,), (2, 20)])
def test_the_mark_is_in_every_table_and_said(tmp_path, disturbed):
    found = study(tmp_path, disturbed)
    for table in every(found):
        for label, steps in (("steps=2", 2), ("steps=4", 4), ("baseline (steps=20)", 20)):
            assert any("†" in cell for cell in rows(table)[label]) >= (steps in disturbed), (table.header, label)
        assert not any("†" in cell for cell in rows(table).get("steps=8", ()))
        assert (WHY in table.caption) == bool(disturbed), table.header


def test_a_speed_up_rests_on_both_records(tmp_path):
    cells = rows(tables.main(study(tmp_path, (20,))))["steps=2"]
    assert next(cell for cell in cells if "×" in cell).endswith("†")
    cells = rows(tables.main(study(tmp_path / "quiet", ())))["steps=2"]
    assert "†" not in "".join(cells)


def test_the_words_name_only_what_is_meant(tmp_path):
    found = study(tmp_path, (2, 4))
    ids = dict(zip(found.trials["label"], found.trials["id"], strict=True))
    assert "steps=4" not in footnotes.disturbed_words(found, ids["steps=2"])
    assert footnotes.disturbed_words(found, ids["steps=8"]) == ""
