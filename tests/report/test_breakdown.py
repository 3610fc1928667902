"""Where time and memory go, on real records: parts add up, older records are read, black pictures are no result."""

import copy
import json

import faulty_workers
import helpers
import numpy as np
import pytest
from helpers import on_disk, tiny

from mic2e_bench.catalog.metrics import components, memory, startup
from mic2e_bench.catalog.metrics.latency import quartiles
from mic2e_bench.records import record
from mic2e_bench.report import breakdown, findings

NEW = {  # what records of before do not have
    "timing": ("witnessed_s", "import_s", "load_parts_s", "ended_by", "outliers", "warnings", "energy_j"),
    "memory": ("phases", "rss_before_call_bytes"),
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    content = tiny(protocol={"warmup": 1, "repeats": 3, "cost": True})
    helpers.run(content, results)
    return results, content


def test_components_and_the_rest_are_the_call(measured):
    for one in helpers.records(measured[0]).values():
        parts = [metric.compute(one) for metric in vars(components).values() if hasattr(metric, "compute")]
        *parts, hooks = parts
        assert sum(parts) == pytest.approx(one.witnessed_s) and all(part > 0 for part in parts)
        assert hooks == one.witnessed_s / quartiles(one.latency_s)[1]


def test_phases_of_memory_begin_with_loading(measured):
    for one in helpers.records(measured[0]).values():
        phases = one.memory["phases"]
        assert list(phases) == ["load", "encode", "denoise", "decode"]
        assert phases["load"]["rss_bytes"] == one.memory["load_peak_rss_bytes"]
        assert max(phases[name]["rss_bytes"] for name in list(phases)[1:]) <= one.memory["peak_rss_bytes"]
        assert memory.fragmentation(one) is None  # no GPU
        assert one.memory.get("peak_process_device_bytes") is None


def test_the_start_is_in_its_parts(measured):
    for one in helpers.records(measured[0]).values():
        parts = one.raw["timing"]["load_parts_s"]
        assert list(parts) == ["read", "modify", "place", "compile"]
        assert 0 < sum(parts.values()) <= one.load_s and one.place_s == parts["place"]
        assert startup.time_to_first_image(one) == one.import_s + one.load_s + one.first_call_s


def test_tables_of_what_there_is(measured):
    results, content = measured
    found = findings.read(helpers.study(content), results)
    time, peaks, start, work = breakdown.all_of(found)
    assert "denoiser" in time.header and "image encoder" in time.header and len(time.rows) == 2
    assert [name.partition(" (")[0] for name in peaks.header[1:5]] == ["load", "encode", "denoise", "decode"]
    assert {"import", "load", "first call", "first image"} <= set(start.header)
    assert "bytes moved (estimate)" in work.header and "energy an image" not in work.header  # nothing counts it here
    assert all("stand-in" in table.caption for table in (time, peaks, start, work))


def test_they_are_a_notebooks_as_well(measured):
    results, content = measured
    pytest.importorskip("IPython")
    from mic2e_bench import notebook

    html = notebook.Bench(helpers.study(content), results).breakdown().data
    assert html.count("<table") == 4


def test_records_of_before_are_read(measured, tmp_path):
    results, content = measured
    study = helpers.study(content)
    for one in on_disk(results).values():
        older = copy.deepcopy(one)
        for part, names in NEW.items():
            for name in names:
                older[part].pop(name, None)
        older.pop("cost")
        helpers.store(tmp_path, older)
    found = findings.read(study, tmp_path)
    assert found.trials["speedup"].notna().all() and found.trials["rest_s"].isna().all()
    assert [table.header[1] for table in breakdown.all_of(found)] == ["load"]


def test_black_pictures_are_a_status(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        helpers.workers(patch, faulty_workers.second_is_black)
        summary = helpers.run(tiny(), tmp_path)
    black = on_disk(tmp_path)["steps=2"]
    assert (black["status"], black["reason"]) == ("invalid", "image in0 seed 42 is black")
    assert black["timing"]["latency_s"] and black["images"][0]["fault"] == "black" and "invalid" not in black
    assert [one.label for one in summary.failed.values()] == ["steps=2"]
    found = findings.read(helpers.study(tiny()), tmp_path)
    assert np.isnan(found.trials["speedup"].iloc[1])  # nothing is credited to it
    assert helpers.run(tiny(), tmp_path).measured == 1  # tried again, as every failure
    assert json.loads(record.path_of(tmp_path, "tiny", black["id"]).read_text())["status"] == "ok"
