"""``mic2e-bench verify``: what is whole is silent, and each fault is one line."""

import json
import re
import shutil

import helpers
import pytest
from helpers import tiny

from mic2e_bench import cli
from mic2e_bench.plan.trial import fingerprint, identifying
from mic2e_bench.records import record
from mic2e_bench.report import findings, frame, made_from, tables
from mic2e_bench.tools import verify


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    results = tmp_path_factory.mktemp("measured") / "results"
    path = helpers.file(results.parent / "study.yaml", tiny())
    assert cli.main(["run", str(path), "--results", str(results)]) == 0
    return results


@pytest.fixture
def results(measured, tmp_path):
    return shutil.copytree(measured, tmp_path / "results")


def first(results):
    return record.paths(results / "tiny")[0]


def change(path, **parts):
    helpers.rewrite(path, {**json.loads(path.read_text()), **parts})


def problems(results, capsys):
    code, out, _ = helpers.command(capsys, "verify", "--results", results)
    lines = [line for line in out.splitlines() if line.startswith("problem: ")]
    assert code == int(bool(lines))
    return lines


def test_what_is_whole_has_no_problems(results, capsys):
    old = helpers.frozen(results)
    code, out, err = helpers.command(capsys, "verify", "--results", results)
    assert (code, err) == (0, "")
    assert re.fullmatch(r"2 records and [2-5] images: no problems\n", out)  # with those of the baseline's floor
    assert helpers.frozen(results) == old


def test_an_image_that_changed_or_went(results, capsys):
    images = sorted((results / "tiny" / "images").iterdir())
    images[0].write_bytes(images[0].read_bytes() + b"\0")
    images[1].unlink()
    changed, gone = sorted(problems(results, capsys), key=lambda line: "missing" in line)
    assert str(images[0]) in changed and "not the image that was made" in changed
    assert gone == f"problem: {images[1]}: missing, and a record names it"


def test_images_of_random_weights_need_not_be_kept(results, capsys):
    """The same records, as if they were measured with random weights; what is there is checked all the same."""
    for path in record.paths(results / "tiny"):
        one = json.loads(path.read_text())
        one["trial"]["model"] = {"source": "random"}
        path.unlink()
        helpers.store(results, {**one, "id": fingerprint(identifying(one["trial"]))})
    changed, *gone = sorted((results / "tiny" / "images").iterdir())
    for path in gone:
        path.unlink()
    code, out, _ = helpers.command(capsys, "verify", "--results", results)
    assert (code, out) == (0, f"2 records and 1 images, {len(gone)} of random weights not kept: no problems\n")
    changed.write_bytes(b"another")
    (problem,) = problems(results, capsys)
    assert str(changed) in problem and "not the image that was made" in problem


def test_an_image_that_one_record_needs_must_be_there(results, capsys):
    """Though a record of random weights names it as well."""
    path = first(results)
    one = json.loads(path.read_text())
    one["trial"]["model"] = {"source": "random"}
    helpers.store(results, {**one, "id": fingerprint(identifying(one["trial"]))})
    image = results / "tiny" / one["images"][0]["file"]
    image.unlink()
    assert problems(results, capsys) == [f"problem: {image}: missing, and a record names it"]


@pytest.mark.parametrize(
    "parts, says",
    [
        ({"status": "splendid"}, "unknown status 'splendid'"),
        ({"status": "oom", "reason": ""}, "it is 'oom' and gives no reason"),
        ({"status": "not_applied"}, "its receipts say otherwise"),
        ({"receipts": {}}, "has no receipts"),
        ({"images": []}, "has no images"),
        ({"study": "other"}, "it is of study 'other'"),
        (
            {"timing": {**record.make(helpers.study(tiny()).baseline, "ok").raw["timing"], "latency_s": [-1.0]}},
            "no positive",
        ),
        ({"quality": {"psnr": 3}}, "is damaged"),
        ({"id": "0" * 16}, "holds the record of trial 0000000000000000"),
    ],
)
def test_a_record_that_was_changed(parts, says, results, capsys):
    change(first(results), **parts)
    (line,) = problems(results, capsys)
    assert str(first(results)) in line and says in line


def test_a_setting_that_was_changed_is_found_by_the_identity(results, capsys):
    path = first(results)
    trial = json.loads(path.read_text())["trial"]
    change(path, trial={**trial, "settings": {**trial["settings"], "steps": 50}})
    (line,) = problems(results, capsys)
    assert "its trial is not the one that its identity is a hash of" in line


def test_a_torn_record(results, capsys):
    path = first(results)
    path.write_bytes(path.read_bytes()[:200])
    (line,) = problems(results, capsys)
    assert f"{path} is damaged" in line


def test_strangers_are_remarks(results, capsys):
    """An image of a record that is gone, files of other programs, a newer record: named, and no failure."""
    first(results).unlink()
    folder = results / "tiny"
    (folder / "notes.json").write_text("[]")
    (folder / "a folder.json").mkdir()
    (folder / "dangling.json").symlink_to(folder / "nowhere")
    (folder / "damaged").mkdir()
    (folder / "damaged" / f"{'a' * 16}.json").write_text("{")
    (folder / ".x.part").touch()
    (results / "readme.txt").touch()
    other = record.paths(folder)[0]
    newer = folder / f"{'b' * 16}.json"
    newer.write_text(json.dumps({**json.loads(other.read_text()), "schema": record.SCHEMA + 1}))
    code, out, _ = helpers.command(capsys, "verify", "--results", results)
    assert code == 0
    said = [line.removeprefix("remark: ") for line in out.splitlines() if line.startswith("remark: ")]
    for words in (
        "an image that no record names",
        f"{folder / 'notes.json'} is no record of mic2e-bench",
        f"{newer} has schema {record.SCHEMA + 1}, which a newer mic2e-bench wrote",
        "set aside by a run",
        "left behind by a process that was killed while it wrote",
    ):
        # a baseline has more pictures: those of its floor
        assert sum(words in line for line in said) == 1 or "image" in words, (words, said)
    assert len([line for line in said if "an image" not in line]) == 4
    assert "remark" not in helpers.command(capsys, "verify", "--quiet", "--results", results)[1]


def test_published_tables(results, capsys):
    helpers.command(capsys, "tables", "--results", results)
    (results / "tiny" / "table.csv").write_text(csv(results))
    assert problems(results, capsys) == []
    (results / "tables.md").write_text((results / "tables.md").read_text().replace("record", "rekord", 1))
    (line,) = problems(results, capsys)
    assert str(results / "tables.md") in line
    (results / "tables.md").unlink()
    assert "tables.md: missing" in problems(results, capsys)[0]


def csv(results):
    from mic2e_bench.report import findings, tables

    return tables.csv(findings.read(helpers.study(tiny()), results))


def test_a_published_table_of_a_study(results):
    table = results / "tiny" / "table.csv"
    table.write_text(csv(results))
    path = first(results)
    timing = json.loads(path.read_text())["timing"]
    change(path, timing={**timing, "first_call_s": 77.5})
    found = list(verify.table(table.parent))
    assert any("first_call_s" in line and "the record gives 77.5" in line for line in found), found
    path.unlink()
    (line,) = verify.table(table.parent)
    assert f"there is no record {path.stem} any more" in line
    table.write_bytes(b"\xff\xfe\0")
    (line,) = verify.table(table.parent)
    assert f"{table}: cannot be read" in line


def test_a_folder_that_is_not_there(tmp_path, capsys):
    assert "no such results folder" in helpers.refusal(capsys, "verify", "--results", tmp_path / "nowhere")


def test_a_record_carries_the_hash_of_its_content(results):
    path = first(results)
    content = json.loads(path.read_text())
    assert list(content)[-1] == "content_sha256"
    assert record.read(path).sha256 == content["content_sha256"]
    path.write_text(json.dumps(content))  # spelled in another way, and the same
    assert record.read(path).sha256 == content["content_sha256"]
    older = {name: value for name, value in content.items() if name not in ("content_sha256", "sealed")}
    helpers.rewrite(path, older)
    assert record.read(path).sha256 is None  # as older versions wrote it


def published(results):
    """Tables, a page and a notebook of the study."""
    assert cli.main(["tables", "--results", str(results)]) == 0
    found = findings.read(helpers.study(tiny()), results)
    tables.write(found)
    for name in ("report.html", "sweep.ipynb"):
        (results / "tiny" / name).write_text("as it was written")
        made_from.note(results, [results / "tiny" / name], found.digests, "mic2e-bench report")


def reworded(name, old, new):
    def edit(results):
        path = first(results) if name == "a record" else results / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return edit


EDITS = {
    "a receipt": (reworded("a record", '"applied": true', '"applied": false'), "was edited"),
    "a latency": (reworded("a record", '"latency_s": [\n', '"latency_s": [\n    0.001,\n'), "was edited"),
    "a key twice": (reworded("a record", '"status": "ok"', '"status": "ok",\n "label": "another"'), "was edited"),
    "the hash gone": (reworded("a record", '"content_sha256"', '"content"'), "has lost its content_sha256"),
    "the hash": (reworded("a record", '"content_sha256": "', '"content_sha256": "0'), "was edited"),
    "a table": (reworded("tiny/table.md", "tiny", "tinny"), "edited after it was written"),
    "a table's text": (reworded("tiny/table.csv", "steps=2", "steps=3"), "edited after it was written"),
    "a page": (reworded("tiny/report.html", "written", "wished"), "edited after it was written"),
    "a notebook": (reworded("tiny/sweep.ipynb", "written", "wished"), "edited after it was written"),
    "the guides' tables": (reworded("tables.html", "claimed", "proven"), "is published"),
    "what they were made from": (reworded("made_from.json", '"by": "mic2e-bench', '"by": "another'), "edited after"),
}


@pytest.mark.parametrize("name", EDITS)
def test_every_edit_is_found(name, results, capsys):
    published(results)
    assert problems(results, capsys) == []
    edit, says = EDITS[name]
    edit(results)
    found = problems(results, capsys)
    assert any(says in line for line in found), found
    assert len(found) == 1 or name.startswith(("a receipt", "a latency", "a key", "the hash")), found


def test_pages_made_from_another_record_are_older_than_it(results, capsys):
    """The record itself is whole: it was exchanged, or measured again."""
    published(results)
    path = first(results)
    content = json.loads(path.read_text())
    change(path, timing={**content["timing"], "import_s": 77.5})
    found = problems(results, capsys)
    older = f"older than its records: 1 of its 2 records changed since (tiny/{path.name} is another now)"
    assert sum(older in line for line in found) == 3  # table.md, the page and the notebook; of table.csv each figure
    assert any("table.csv" in line and "the record gives 77.5" in line for line in found)
    assert all("writes it anew" in line for line in found)


def test_what_nobody_noted_is_a_remark(results, capsys):
    (results / "tiny" / "report.html").write_text("from elsewhere")
    code, out, _ = helpers.command(capsys, "verify", "--results", results)
    assert code == 0 and "report.html: it is not known what it was made from" in out


def test_records_without_a_hash_are_counted(results, capsys):
    path = first(results)
    content = json.loads(path.read_text())
    del content["content_sha256"], content["sealed"]  # as older versions wrote it
    path.write_text(json.dumps(content))
    _, out, _ = helpers.command(capsys, "verify", "--results", results)
    assert out == "2 records and 3 images, 1 records without a hash of their content: no problems\n"


def test_an_edited_record_is_in_no_table_and_nothing_is_compared_with_it(measured, results, capsys):
    path = first(results)
    path.write_text(path.read_text().replace('"load_s": ', '"load_s": 9', 1))
    loaded, left_out = frame.load(results)
    assert len(loaded) == 1 and "was edited" in left_out[0]
    for sides in ((measured, results), (results, measured)):
        line = helpers.refusal(capsys, "compare", *sides)
        assert f"{path} was edited" in line and "measure it again" in line


def test_nothing_is_compared_with_edited_pictures(measured, results, capsys):
    image = next((results / "tiny" / "images").iterdir())
    image.write_bytes(image.read_bytes() + b"\0")
    assert "not the image that was made" in helpers.refusal(capsys, "compare", measured, results)
