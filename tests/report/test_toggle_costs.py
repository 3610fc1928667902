"""What a setting cost in quality: from the trials that changed it alone."""

import helpers
import pandas

from mic2e_bench.report import toggle_costs


def table(*rows):
    columns = ("study", "baseline", "status", "steps", "guidance", "quality", "quality_visible")
    return pandas.DataFrame([dict(zip(columns, row, strict=True)) for row in rows])


def test_only_trials_that_changed_one_setting_count():
    found = toggle_costs.measured(
        table(
            ("a", True, "ok", 20, 2.5, 100.0, False),
            ("a", False, "ok", 4, 2.5, 91.26, True),
            ("a", False, "ok", 8, 2.5, 99.0, False),
            ("a", False, "ok", 4, 1.0, 10.0, True),  # two changed: whose cost is it?
            ("a", False, "not_applied", 20, 1.0, 20.0, True),
            ("b", True, "ok", 4, 1.0, 100.0, False),
            ("b", False, "ok", 4, 2.5, 98.0, True),
            ("c", False, "ok", 4, 2.5, 5.0, True),  # no baseline was measured
        )
    )
    assert found == {"steps": "quality 91.3 to 99.0 % in 2 trials, no visible difference in 1",
                     "guidance": "quality 98.0 % in 1 trial"}  # fmt: skip


def test_nothing_measured_is_nothing_said(tmp_path, capsys):
    assert toggle_costs.measured(pandas.DataFrame()) == {}
    code, out, _ = helpers.command(capsys, "list", "toggles", "--results", tmp_path)
    assert code == 0
    assert "cost in quality: real; " in out
    assert "measured" not in out.split("grad_mode")[0]
