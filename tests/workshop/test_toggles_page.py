"""docs/toggles.md: what is stored is what the catalog and the evidence give today."""

import sys

from helpers import ROOT

from mic2e_bench.catalog import registry
from mic2e_bench.workshop import toggles_page


def test_the_stored_page_is_up_to_date():
    written = (ROOT / toggles_page.PAGE).read_text()
    assert toggles_page.page(ROOT) == written, "python -m mic2e_bench.workshop.toggles_page"


def test_nothing_is_concluded_without_an_interval_and_nothing_credited_that_was_not_in_force():
    stored = toggles_page.studies(ROOT / toggles_page.EVIDENCE)
    found = [effect for records in stored for effect in toggles_page.effects(records)]
    rows = {(effect.toggle, effect.one.id): toggles_page.row(effect, ROOT) for effect in found}
    assert len(rows) > 40
    for row in rows.values():
        assert ("[" in row[3]) == (row[5] in ("faster", "slower", "not told apart"))
    assert rows["attention", "3008d68889bc6848"][5] == "not told apart"
    assert rows["attention", "cafe5011309fa053"][3:] == ["–", "–", "NOT APPLIED: no speed-up is credited"]
    assert "†" in rows["compile", "4d8069dc8f2f0aa5"][3]


def test_without_evidence_every_toggle_is_named_as_not_measured(tmp_path, monkeypatch, capsys):
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(toggles_page, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["toggles_page"])
    assert toggles_page.main() == 0
    text = (tmp_path / toggles_page.PAGE).read_text()
    assert str(tmp_path / toggles_page.PAGE) in capsys.readouterr().out
    rest = text.partition("## Not measured yet")[2]
    assert [name for name in registry.toggles() if f"- **{name}**" not in rest] == []
