"""Labels, inputs and prompts with slashes, quotes, emoji, right-to-left text and markup harm nothing that shows them.

What is code, a text of a terminal or XML by itself has its own tests: test_texts_as_code, test_control_characters,
test_compare. Here one study has such names everywhere, and goes through every form in which it is read.
"""

import csv
import io
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
import whole_records
import yaml
from helpers import command, refusal, study, tiny

from mic2e_bench import texts
from mic2e_bench.catalog.picture_files import same
from mic2e_bench.errors import BadInput
from mic2e_bench.records import record
from mic2e_bench.report import findings, markup, strips, tables

NAMES = {
    "slashes": "../../etc/passwd and C:\\x\\..\\y",
    "quotes": "it's \"quoted\" `code` ${HOME} $(id) %s {0} {{ 7 * 6 }}",
    "emoji": "🦊👩‍👩‍👧 ½ ﬁ e\u0301",
    "right to left": "\u202eevil\u202c مرحبا שלום",
    "markup": "</td></table><script>alert(1)</script><img src=x onerror=alert(2)>",
    "markdown": "[x](javascript:alert(1)) | a | ![y](http://z) **b** <b>",
    "formula": "=HYPERLINK(\"http://x\",\"y\")",
}  # fmt: skip


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A study whose labels, inputs and prompts have these names, with a record a trial, and its results folder."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "inputs").mkdir()
    prompts = {name: {"prompt": name, "caption": name} for name in NAMES.values()}
    (folder / "inputs" / "prompts.yaml").write_text(yaml.safe_dump(prompts))
    trials = [{"steps": number, "label": name} for number, name in enumerate(NAMES.values(), 1)]
    of = whole_records.study("z-image-turbo", study="مرحبا-ñ", inputs=str(folder / "inputs"), vary=None, trials=trials)
    for number, trial in enumerate(of.trials, 1):
        path = whole_records.write(folder / "results", of, trial, number)
        content = json.loads(path.read_text())
        name = [*NAMES.values()][number % len(NAMES)]
        receipts = {**content["receipts"], "steps": {**content["receipts"]["steps"], "how": name}}
        whole_records.change(path, images=[{**content["images"][0], "input": name}], receipts=receipts)
    return of, folder / "results"


class Tags(HTMLParser):
    """The names of the elements of a page, and the attributes that act."""

    def __init__(self, page):
        super().__init__()
        self.found, self.acting = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append(tag)
        led = [value or "" for name, value in attributes if name in ("href", "src", "action")]
        self.acting += [name for name, _ in attributes if name.startswith("on")]
        self.acting += [value for value in led if value.lower().startswith(("javascript:", "http://z")) or value == "x"]


def shown(text):
    return texts.plain(" ".join(text.split()))


def test_a_record_says_what_the_params_file_said(odd):
    of, results = odd
    labels = {record.read(path).label for path in record.paths(results / of.name)}
    assert labels == {"baseline", *map(shown, NAMES.values())}
    assert set(of.baseline.inputs["items"]) == set(map(same, NAMES.values()))
    written = [*(results / of.name).rglob("*")]
    assert {path.suffix for path in written if path.is_file()} == {".json", ".png"}  # no name is a file's
    assert {path.parent.name for path in written} <= {of.name, "images", results.name}


@pytest.mark.parametrize("name", ["a/b", "..", "🦊", "it's", "<script>", "a b", "-x", ".x", "", "\u202ex"])
def test_a_study_has_the_name_of_a_folder(name, tmp_path):
    with pytest.raises(BadInput):
        study(tiny(study=name))


def test_tables_for_a_terminal_markdown_and_a_spreadsheet(odd):
    found = findings.read(*odd)
    text = tables.text(*odd)
    assert texts.plain(text) == text and all(shown(name)[:20] in text for name in NAMES.values())
    written = tables.main(found).markdown()
    assert "<" not in written.replace("<br>", "") and "](" not in written
    rows = [line for line in written.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1  # no name makes a column
    cells = [*csv.reader(io.StringIO(tables.csv(found)))]
    assert len({len(row) for row in cells}) == 1 and not any(cell.startswith("=") for row in cells for cell in row)


def test_pages_have_no_element_of_a_name(odd):
    found = findings.read(*odd)
    page = markup.render("tables.html", tables=[tables.main(found)])
    for html in (page, strips.html(found)):
        tags = Tags(str(html))
        assert not set(tags.found) & {"script", "iframe"} and not tags.acting
        assert "&lt;script&gt;" in html


def test_comparisons_and_recommendations(odd, tmp_path, capsys):
    of, results = odd
    forms = {form: tmp_path / form for form in ("markdown", "json", "html", "junit")}
    asked = [word for form, path in forms.items() for word in (f"--{form}", path)]
    base = shutil.copytree(results, tmp_path / "base")
    code, out, err = command(capsys, "compare", base, results, *asked)
    assert code == 0 and texts.plain(out) == out and texts.plain(err) == err
    names = {case.get("name") for case in ElementTree.parse(forms["junit"]).iter("testcase")}
    assert any(name.startswith(shown(NAMES["markup"])) for name in names)
    tags = Tags(forms["html"].read_text())
    assert "script" not in tags.found and not tags.acting
    assert "<script" not in forms["markdown"].read_text() and "](java" not in forms["markdown"].read_text()
    json.loads(forms["json"].read_text())
    code, out, _ = command(capsys, "recommend", of.name, "--with-disturbed", "--results", results)
    assert code == 0 and texts.plain(out) == out
    assert command(capsys, "verify", "--results", results)[0] in (0, 1)


def test_files_for_other_programs(odd, tmp_path, capsys):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    of, results = odd
    command(capsys, "share", "--results", results, "--parquet", tmp_path / "a.parquet")
    table = pandas.read_parquet(tmp_path / "a.parquet")
    assert set(table.label) == {"baseline", *map(shown, NAMES.values())} and set(table.study) == {of.name}
    one = of.trials[3].id
    code, out, _ = command(capsys, "export", f"{of.name}/{one}", "--results", results)
    assert code == 0 and compile(out, "exported", "exec")


@pytest.mark.parametrize("name", NAMES.values())
def test_a_name_that_is_unknown_is_quoted_in_a_line(name, odd, tmp_path, capsys):
    of, results = odd
    for words in (
        ("recommend", name, "--results", results),
        ("export", name, "--results", results),
        ("share", name, "--results", results, "--parquet", tmp_path / "x"),
        ("reproduce", f"{of.name}/{name}", "--results", results),
        ("reproduce", name, "--results", results),
        ("compare", Path(name), results),
        ("verify", "--results", Path(name)),
    ):
        line = refusal(capsys, *words)
        assert texts.plain(line) == line
    assert not [*tmp_path.iterdir()]
