"""The benchmark of the workbench itself, on a study that takes a second."""

from helpers import tiny

from mic2e_bench.workshop.proof import overhead


def test_the_section_for_the_benchmarks_page(monkeypatch, capsys):
    monkeypatch.setattr(overhead, "STUDY", tiny())
    monkeypatch.setattr(overhead, "LIMIT", 1000)  # a second's study says nothing of the ratio
    assert overhead.main() == 0
    out = capsys.readouterr().out
    assert out.startswith("### Overhead of a sweep\n\nSteps 1, 2 of the bundled objectclear model at 64 px, 1 repeats;")
    for row in ("| pipeline calls |", "| one import of the libraries |", "| wall time of measuring |"):
        assert row in out
    monkeypatch.setattr(overhead, "LIMIT", 0)
    assert overhead.main() == 1


def test_a_trial_that_fails_is_no_figure(monkeypatch, capsys):
    monkeypatch.setattr(overhead, "STUDY", tiny(vary={"attention": ["sliced:99"]}))
    assert overhead.main() == 1
    assert "attention=sliced:99: error: ValueError" in capsys.readouterr().out
