"""Texts from outside are shown as text: in a terminal, in Markdown, CSV, HTML, SVG and XML, on any encoding."""

import csv
import io
import json
import shutil
import sys
from xml.etree import ElementTree

import pytest
import whole_records
from helpers import command, refusal

from mic2e_bench import cli, notebook, terminal, texts
from mic2e_bench.errors import BadInput
from mic2e_bench.records import record
from mic2e_bench.report import figures, findings, frame, markup, plots, tables
from mic2e_bench.report.tabular import Table
from mic2e_bench.tools.compare import as_json, compare, junit
from mic2e_bench.tools.compare import page as compare_page
from mic2e_bench.tools.compare import text as compare_text

ACTING = [
    "\x1b[2J", "\x1b]8;;http://x\x07", "\x07", "\x08", "\r", "\x00", "\x7f", "\x9b31m", "\x85", "\u202e", "\u2066",
    "\u200f", "\u2028", "\ufeff", "\u200b", "\ud800", "\ufffe", "\U000e0041",
]  # fmt: skip
ALL = "".join(f"a{each}b" for each in ACTING)
FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", " =1", "＝1"]


def is_shown(text):
    """Whether nothing in it acts; lines may end."""
    return texts.plain(text) == text


@pytest.mark.parametrize("acting", ACTING)
def test_what_acts_is_written_as_its_escape(acting):
    assert is_shown(texts.plain(f"a{acting}b")) and texts.plain(f"a{acting}b").startswith("a\\")
    texts.plain(f"a{acting}b").encode()
    assert "\n" not in texts.one_line(f"a{acting}\nb") and is_shown(texts.one_line(f"a{acting}b"))


@pytest.mark.parametrize(
    "text", ["größe 日本語 → ±0.5 ‘x’", "👩\u200d🚀", "می\u200cخواهم", "two\nlines\tand a tab", "\u0301"]
)
def test_what_people_write_stays(text):
    assert texts.plain(text) == text


@pytest.fixture
def hostile(tmp_path):
    """A study whose records say what acts wherever they may say anything."""
    of = whole_records.study(vary={"threads": [1, 2]})
    for number, (trial, status) in enumerate(zip(of.trials, ("ok", "ok", "oom"), strict=True), 1):
        path = whole_records.write(tmp_path / "results", of, trial, number, status)
        content = json.loads(path.read_text())
        here = {**content["environment"], **dict.fromkeys(("host", "device", "git", "driver"), f"=x{ALL}")}
        entry = {**whole_records.ENTRY, "against": of.baseline.id, "value": 1.0, "backbone": ALL, "problem": ALL}
        scores = {**content["quality"], f"=psnr{ALL}": entry} if status == "ok" else {}
        reason = "" if status == "ok" else f"=why{ALL} [x](http://x) <b> | `c`"
        whole_records.change(path, label=f"=x{ALL}|[x](y)", reason=reason, environment=here, quality=scores)
    return tmp_path / "results", of


def test_what_commands_print_is_text(hostile, capsys):
    results, of = hostile
    for words in (("recommend", of.name), ("verify",), ("list", "toggles"), ("tables", "--mixed")):
        _, out, err = command(capsys, *words, "--results", results)
        assert is_shown(out) and is_shown(err)
    _, out, _ = command(capsys, "recommend", of.name, "--json", "--results", results)
    assert json.loads(out)["points"]
    for form in ("python", "yaml", "json", "mic2e"):
        code, out, _ = command(capsys, "export", f"{of.name}/{of.trials[1].id}", "--as", form, "--results", results)
        assert code == 0 and is_shown(out)
    shutil.copytree(results, results.parent / "head")
    assert is_shown(command(capsys, "compare", results, results.parent / "head")[1])


@pytest.mark.parametrize("acting", [each for each in ACTING if each != "\x00"])
def test_what_a_person_gives_comes_back_as_text(acting, tmp_path, capsys):
    line = refusal(capsys, "recommend", f"s{acting}s", "--results", tmp_path)
    assert is_shown(line)
    assert is_shown(str(BadInput(f"a{acting}\nb"))) and "\n" not in str(record.Damaged(f"a{acting}\nb"))


def test_pages_and_tables_are_text(hostile):
    results, of = hostile
    found = findings.read(of, results)
    pages = [tables.main(found).html(), notebook.Bench(of, results).measure().data, tables.main(found).markdown()]
    pages += [markup.render("answer.html", text=ALL), notebook.choice(of.name, str(results)).answer().data]
    shutil.copytree(results, results.parent / "head")
    made = compare.compare(results, results.parent / "head")
    pages += [compare_page.html(made), compare_text.markdown(made)]
    assert is_shown(json.dumps(json.loads(as_json.of(made))))
    for page in pages:
        assert is_shown(page)
        str(page).encode()
    assert "](" not in tables.main(found).markdown() and "](" not in compare_text.markdown(made)
    ElementTree.fromstring(junit.xml(made))


def test_a_figure_is_an_svg(hostile):
    results, of = hostile
    found = findings.read(of, results)
    found.trials["label"] = [f"$\\frac{{${ALL}" for _ in found.trials["label"]]
    ElementTree.fromstring(figures.svg(plots.tradeoff(found)))


def test_a_spreadsheet_computes_nothing(hostile):
    results, of = hostile
    found = findings.read(of, results)
    found.trials["reason"] = [FORMULAS[number] for number in range(len(found.trials))]
    found.trials.loc[0, "load_s"] = -1.5
    header, *rows = csv.reader(io.StringIO(tables.csv(found)))
    cells = [cell for row in (header, *rows) for cell in row]
    assert not [cell for cell in cells if cell.strip().startswith(("=", "+", "@", "-")) and cell != "-1.5"]
    assert rows[0][header.index("load_s")] == "-1.5" and all(map(is_shown, cells))


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_quoted(text):
    assert texts.csv_cell(text) == "'" + text


@pytest.mark.parametrize("value", ["-1", "-1.5e-3", "+2", -1, 0.5, None, "a=b", "–"])
def test_a_number_stays_one(value):
    assert texts.csv_cell(value) == value


@pytest.mark.parametrize(
    "text, shown",
    [
        ("a|b", "a\\|b"), ("a\\|b", "a\\\\\\|b"), ("[x](javascript:1)", "[x]\\(javascript:1)"), ("`a", "\\`a"),
        ("![x](http://x)", "![x]\\(http://x)"), ("<b>&", "&lt;b&gt;&amp;"), ("a\nb\r| c", "a b \\| c"), ("[1]", "[1]"),
    ],
)  # fmt: skip
def test_markdown_is_text(text, shown):
    assert texts.markdown(text) == shown
    (_, _, row, *_) = Table(("a", "b"), [(text, "c")]).markdown().splitlines()
    assert row == f"| {shown} | c |"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize(
    "words", [("list", "pipelines"), ("list", "toggles"), ("recommend", "none → “x”"), ("compare", "é", "日")]
)
def test_a_terminal_of_any_encoding(encoding, words, monkeypatch):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    assert cli.main(words) in (0, 2)
    assert (sys.stdout, sys.stderr) == tuple(streams)
    for stream in streams:
        stream.flush()
        stream.buffer.getvalue().decode(encoding)
    assert any(stream.buffer.getvalue() for stream in streams)


def test_bars_move_and_texts_do_not(monkeypatch):
    from tqdm import tqdm

    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with terminal.shown():
        with tqdm(total=1, desc=texts.plain("a\x1b[2Jb"), mininterval=0, file=sys.stderr, ascii=True) as bar:
            bar.update()
        print("x\ry\x1b[A", file=sys.stderr)
    assert "\ra\\x1b[2Jb: 100%" in stream.getvalue() and stream.getvalue().endswith("x\\ry\\x1b[A\n")


def test_a_frame_has_labels_of_one_line(hostile):
    results, _ = hostile
    assert all(is_shown(text) and "\n" not in text for text in frame.load(results)[0]["label"])
