"""Folders that are none and targets that cannot be written are answered with one line; and folders that are huge."""

import dataclasses
import json

import pytest
from comparing import put
from helpers import command, refusal, study, tiny

from mic2e_bench.errors import BadInput
from mic2e_bench.records import record
from mic2e_bench.tools.compare import match as compare_match


@pytest.fixture
def sides(tmp_path):
    made = study(tiny())
    for name in ("base", "head"):
        put(tmp_path / name, made, {"baseline": 1.0, "steps=2": 2.0})
    return tmp_path / "base", tmp_path / "head"


def test_one_folder_is_no_comparison(capsys, tmp_path, sides):
    (tmp_path / "link").symlink_to(sides[0])
    for other in (sides[0], f"{sides[0]}/", tmp_path / "link"):
        assert "are the same folder" in refusal(capsys, "compare", sides[0], other)


@pytest.mark.parametrize("form", ["html", "json", "junit", "markdown"])
def test_a_target_that_cannot_be_written_is_refused_before_anything_is_read(capsys, tmp_path, form):
    (tmp_path / "file").write_text("")
    for target, why in (("file/c", "is not a folder"), (".", "it is a folder")):
        line = refusal(capsys, "compare", "nowhere", "nowhere else", f"--{form}", tmp_path / target)
        assert line.startswith(f"--{form}") or f"--{form} " in line
        assert why in line and "no such folder" not in line


def test_a_target_that_fails_only_when_it_is_written_is_named(capsys, sides):
    line = refusal(capsys, "compare", *sides, "--html", "/proc/self/c.html")
    assert "--html /proc/self/c.html: cannot be written" in line


def test_standard_output_is_for_one_form(capsys, sides):
    assert "given twice" in refusal(capsys, "compare", *sides, "--json", "-", "--html", "-")


def test_a_folder_of_a_newer_version_is_named_as_one(capsys, sides):
    for path in sides[1].glob("tiny/*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    line = refusal(capsys, "compare", *sides)
    assert "schema 99" in line and "Compare with the version that wrote them" in line


def test_a_folder_with_some_records_of_a_newer_version_lacks_their_trials(capsys, sides):
    path = next(path for path in sides[1].glob("tiny/*.json") if "steps=2" in path.read_text())
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    code, out, err = command(capsys, "compare", *sides)
    assert code == 1 and "MISSING at the head: tiny steps=2" in err and "left out" in out and "schema 99" in out


def test_a_hundred_thousand_files_that_are_no_records_are_passed_over(tmp_path, monkeypatch):
    """As many names as a folder of pictures has, without making them."""
    (tmp_path / "study").mkdir()
    names = [tmp_path / "study" / f"{number}.png.json" for number in range(100_000)]
    monkeypatch.setattr(type(tmp_path), "glob", lambda self, pattern: iter(names))
    with pytest.raises(BadInput, match="no records"):
        compare_match.read(tmp_path)


def test_a_hundred_thousand_trials_are_matched(sides):
    """In a time that grows with their number: with its square, it would be hours."""
    one = record.read(next(sides[0].glob("tiny/*.json")))
    stored = (compare_match.StoredRecord(one, sides[0]),)

    def results(prefix):
        trials = tuple(compare_match.Rounds("s", f"{prefix}{n}", f"steps={n}", stored) for n in range(100_000))
        return compare_match.Results(sides[0], trials, ())

    found = compare_match.match(results("a"), results("b"))  # by name: every identity is another
    assert len(found.matches) == 100_000 and not found.gone and not found.new


def test_remarks_of_a_kind_are_counted_where_they_are_many(capsys, sides):
    for number in range(300):
        (sides[1] / "tiny" / f"{number:016x}.json").write_text("{")
    _, out, _ = command(capsys, "compare", *sides)
    assert out.count("left out") == 11 and "and 290 more damaged files" in out


def test_a_long_comparison_shows_the_worst_and_counts_the_rest(tmp_path):
    from mic2e_bench.tools.compare import compare, page
    from mic2e_bench.tools.compare import text as compare_text

    made = study(tiny())
    for side in ("base", "head"):
        put(tmp_path / side, made, {"baseline": 1.0})
    found = compare.compare(tmp_path / "base", tmp_path / "head")
    long = dataclasses.replace(found, verdicts=found.verdicts * 2000)
    assert len(compare_text.text(long).splitlines()) < 300
    assert len(compare_text.markdown(long)) < 65_536
    assert f"{len(long.verdicts) - page.MOST_ROWS} more verdicts, none worse than these" in page.html(long)
