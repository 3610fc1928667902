"""One file a trial, whole or not at all."""

import dataclasses
import json
import os

import helpers
import pytest
from helpers import tiny

from mic2e_bench import seal
from mic2e_bench.catalog import registry
from mic2e_bench.errors import BadInput
from mic2e_bench.records import frame, record
from mic2e_bench.tools.claims import answers


def trial():
    return helpers.study(tiny()).baseline


def test_schema(tmp_path):
    made = record.make(trial(), "ok", timing={"latency_s": [0.5]}, memory={"weights_bytes": 7})
    assert list(made.raw) == [
        "schema", "id", "study", "label", "trial", "status", "reason", "receipts", "timing", "memory", "images",
        "quality", "environment",
    ]  # fmt: skip
    assert set(made.raw["timing"]) >= {"load_s", "first_call_s", "latency_s", "step_s", "component_s"}
    assert made.memory["weights_bytes"] == 7
    assert made.memory["peak_vram_allocated_bytes"] is None
    path = record.write(tmp_path, made)
    assert path == tmp_path / "tiny" / f"{trial().id}.json"
    assert record.read(path) == made and json.loads(path.read_text()) == seal.sealed(made.raw)
    assert not list(path.parent.glob(".*"))


def test_raw_samples_are_not_rounded(tmp_path):
    sample = 0.1234567890123456
    path = record.write(tmp_path, record.make(trial(), "ok", timing={"latency_s": [sample]}))
    assert record.read(path).latency_s == [sample]


def test_what_nobody_knows_any_more_or_yet_survives_a_new_score(tmp_path):
    content = {**record.make(trial(), "ok").raw, "later": [1], "timing": {"latency_s": [0.5], "sm_mhz": [900]}}
    path = helpers.store(tmp_path, content)
    one = record.read(path).with_quality({"psnr": {"value": 30.0}})
    assert record.write(tmp_path, one) == path
    scored = {**content, "quality": {"psnr": {"value": 30.0}}}
    assert json.loads(path.read_text()) == seal.sealed(scored) and record.read(path).raw == scored


def test_a_record_of_before_has_none_where_nothing_was_measured():
    content = record.make(trial(), "ok").raw
    one = record.Record.of({**content, "timing": {"latency_s": [1.0], "load_s": 2.0}})
    assert (one.latency_s, one.load_s, one.batch, one.cost, one.warnings) == ([1.0], 2.0, 1, {}, ())
    unknown = (one.first_call_s, one.place_s, one.import_s, one.witnessed_s, one.warmup_s, one.energy_j, one.rounds)
    assert set(unknown) == {None}


def test_a_record_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.make(trial(), "ok").status = "error"


@pytest.mark.parametrize("name", ["/etc/passwd", "../other/images/a.png", "images/../../a.png", None, 3])
@pytest.mark.parametrize("again", [False, True])
def test_a_picture_stays_in_the_records_folder(name, again, tmp_path):
    image = {"input": "a", "seed": 1, "file": "images/a.png", "sha256": "0" * 64}
    image = {**image, "again": {"file": name}} if again else {**image, "file": name}
    path = helpers.store(tmp_path, {**record.make(trial(), "ok").raw, "images": [image]})
    with pytest.raises(record.Damaged, match=f"{path.name} is damaged"):
        record.read(path)


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_record(moment, tmp_path, monkeypatch):
    old = record.write(tmp_path, record.make(trial(), "ok")).read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, moment, full)
    with pytest.raises(BadInput, match=r"No space left on device.*--results DIR"):
        record.write(tmp_path, record.make(trial(), "error", "new"))
    (left,) = (tmp_path / "tiny").iterdir()
    assert left.read_bytes() == old


@pytest.mark.parametrize(
    "content, named",
    [
        (b"", "is damaged"),
        (b'{"schema": 1, "id"', "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[1]", "is no record"),
        (b'{"schema": 1}', "is no record"),
    ],
)
def test_damaged_files_are_named_and_measured_anew(content, named, tmp_path):
    path = tmp_path / "abc.json"
    path.write_bytes(content)
    with pytest.raises(record.Damaged, match=f"abc.json {named}"):
        record.read(path)
    assert record.read_if_there(path) is None


@pytest.mark.parametrize("change, named", [({"schema": 2}, "schema 2"), ({"id": "f" * 16}, "holds the record of")])
def test_records_of_another_schema_or_trial(change, named, tmp_path):
    path = tmp_path / f"{trial().id}.json"
    path.write_text(json.dumps({**record.make(trial(), "ok").raw, **change}))
    with pytest.raises(record.Damaged, match=named):
        record.read(path)


def test_no_record_where_there_can_be_none(tmp_path):
    (tmp_path / "file").touch()
    assert record.read_if_there(tmp_path / "file" / "tiny" / "a.json") is None
    assert record.read_if_there(tmp_path / "nothing" / "a.json") is None


def test_registry_names_are_what_records_store():
    made = record.make(trial(), "ok")
    assert set(made.settings) == {*registry.toggles_of(registry.pipeline("objectclear")), "process"}


def test_older_records_are_brought_to_todays_schema(tmp_path, monkeypatch):
    made = record.make(helpers.study(tiny()).baseline, "ok").raw
    path = helpers.store(tmp_path, {key: value for key, value in made.items() if key != "images"})
    monkeypatch.setattr(record, "SCHEMA", 3)
    picture = {"input": "a", "seed": 1, "file": "a", "sha256": "b"}
    upgrades = {
        1: lambda old: {**old, "pictures": [picture]},
        2: lambda old: {"images": old.pop("pictures"), **old},
    }
    monkeypatch.setattr(record, "UPGRADES", upgrades)
    read = record.read(path)
    assert (read.raw["schema"], read.images, read.id) == (3, [picture], made["id"]) and "pictures" not in read.raw
    monkeypatch.setattr(record, "UPGRADES", {1: lambda old: {**old, "images": old["absent"]}, 2: dict})
    with pytest.raises(record.Damaged, match="is damaged: no record of schema 1: KeyError 'absent'"):
        record.read(path)
    path.write_text(json.dumps({**made, "schema": "one"}))
    with pytest.raises(record.Damaged, match="has schema 'one', which never was"):
        record.read(path)


@pytest.mark.parametrize("parts", [{"trial": []}, {"trial": {}}, {"timing": None}, {"images": {}}])
def test_parts_of_another_shape_are_damage(parts, tmp_path):
    path = helpers.store(tmp_path, {**record.make(helpers.study(tiny()).baseline, "ok").raw, **parts})
    with pytest.raises(record.Damaged, match=f"{path.name} is damaged: its {next(iter(parts))}"):
        record.read(path)
    assert frame.load(tmp_path)[1] and answers.load(tmp_path)[1]
