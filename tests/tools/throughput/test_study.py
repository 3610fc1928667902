"""Throughput studies: what a file may say, what is measured once, and what failed."""

import json

import pytest

from mic2e_bench.errors import BadInput
from mic2e_bench.plan import params
from mic2e_bench.report import frame
from mic2e_bench.tools.throughput import measure, record, study
from mic2e_bench.tools.throughput.kind import Kind, Point

SERVED = {"pipeline": "objectclear", "inputs": {"source": "bundled", "limit": 1}, "baseline": {"steps": 1}}


def points(asked, served, where):
    return [Point(f"n={number}", {"number": number}) for number in asked.get("numbers", [1])]


def measured(point, job):
    job.tell("counting", 0.5)
    if point.asked["number"] == 13:
        raise MemoryError("no room")
    return {"runs": [{"images_per_s": float(point.asked["number"])}]}


@pytest.fixture
def counting(monkeypatch):
    """A kind that measures nothing, and the processes that it does not need."""
    kind = Kind("counting", "", points, measured, lambda records: "")
    monkeypatch.setattr(study, "kinds", lambda: {"counting": kind})
    monkeypatch.setattr(measure.forkserver, "start", lambda: 0.0)
    return {"study": "counted", "kind": "counting", **SERVED}


def test_each_point_is_measured_once(counting, tmp_path, capsys):
    found = study.resolve({**counting, "counting": {"numbers": [1, 2]}})
    first = measure.studies([found], tmp_path)
    assert [one.runs[0]["images_per_s"] for one in first[0]] == [1.0, 2.0]
    assert "counted 2/2 n=2: counting" in capsys.readouterr().err
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "counted" / "throughput").iterdir()}
    assert measure.studies([found], tmp_path) == first
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert record.of_folder(tmp_path, "counted") == first[0]


def test_a_failure_is_a_record_and_is_tried_again(counting, tmp_path):
    found = study.resolve({**counting, "counting": {"numbers": [13, 2]}})
    failed, fine = measure.studies([found], tmp_path)[0]
    assert (failed.status, fine.status) == ("oom", "ok")
    assert "no room" in failed.reason
    assert record.identity(found, found.points[0]) == failed.id


def test_what_is_served_is_part_of_the_identity(counting):
    one = study.resolve({**counting, "counting": {}})
    other = study.resolve({**counting, "counting": {}, "baseline": {"steps": 2}})
    assert record.identity(one, one.points[0]) != record.identity(other, other.points[0])


@pytest.mark.parametrize("change", ["edited", "cut", "not a record"])
def test_a_file_that_is_not_as_it_was_written_is_measured_anew(counting, tmp_path, change):
    found = study.resolve({**counting, "counting": {}})
    one = measure.studies([found], tmp_path)[0][0]
    path = record.path_of(tmp_path, "counted", one.id)
    content = json.loads(path.read_text())
    texts = {
        "edited": json.dumps({**content, "runs": [{"images_per_s": 99.0}]}),
        "cut": path.read_text()[:100],
        "not a record": json.dumps([1]),
    }
    assert record.problems(tmp_path) == (1, [])
    path.write_text(texts[change])
    assert record.problems(tmp_path) == (0, [f"{path} is damaged: no throughput record as it was written"])
    assert record.of_folder(tmp_path, "counted") == []
    assert measure.studies([found], tmp_path)[0][0].runs == one.runs


def test_a_record_under_another_name_is_no_answer_to_what_was_asked(counting, tmp_path):
    one = measure.studies([study.resolve({**counting, "counting": {}})], tmp_path)[0][0]
    path = record.path_of(tmp_path, "counted", one.id)
    path.rename(path.with_stem("0" * 16))
    assert "its identity is a hash of" in record.problems(tmp_path)[1][0]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"kind": None}, "'kind' is missing. Known: counting"),
        ({"kind": "countin"}, "Did you mean 'counting'?"),
        ({"vary": {"steps": [1]}}, "unknown key 'vary'"),
        ({"counting": 3}, "counting: write a mapping"),
        ({"counting": {"numbers": [1, 1]}}, "'n=1' is there twice"),
        ({"pipeline": "objectclaer"}, "Did you mean 'objectclear'?"),
    ],
)
def test_bad_input(counting, change, words):
    with pytest.raises(BadInput, match=r".") as error:
        study.resolve({**counting, "counting": {}, **change})
    assert words in str(error.value)


def test_throughput_records_of_evidence_are_no_study_of_a_machine(counting, tmp_path):
    measure.studies([study.resolve({**counting, "counting": {}})], tmp_path / "evidence")
    assert len(record.everywhere(tmp_path)) == 1
    assert frame.stored(tmp_path) == []


def test_a_file_for_throughput_is_told_to_run(counting):
    with pytest.raises(BadInput, match="'kind:' is for mic2e-bench throughput"):
        params.resolve_study({**counting, "counting": {}})
