"""The data frame: a row a record, columns as named, damaged files and mixed environments said."""

import json
import subprocess
import sys
import time

import helpers
import pandas
import pytest

from mic2e_bench.errors import BadInput
from mic2e_bench.machine.environment import here
from mic2e_bench.records import frame, record

QUALITY = {
    "unit": "1", "better": "lower", "against": "00", "backbone": "alex, untrained (seed 0) stand-in", "n": 100,
    "ci95": [0.1, 0.3], "floor": 0.05, "floor_of": "a repeat", "visible": True, "stamp": "ab",
}  # fmt: skip


def content(id, study="s", steps=4, host=None, **parts):
    """A record as a trial leaves it."""
    environment = {**here("cpu"), **({"host": host} if host else {})}
    trial = {
        "pipeline": "objectclear", "model": {"source": "bundled", "fingerprint": "f"}, "inputs": {}, "protocol": {},
        "settings": {"steps": steps, "precision": "fp32"},
    }  # fmt: skip
    timing = {"load_s": 3.0, "first_call_s": 2.0, "latency_s": [1.0, 2.0, 3.0], "step_s": [], "component_s": {}}
    return {
        "schema": 1, "id": id, "study": study, "label": f"steps={steps}", "trial": trial, "status": "ok", "reason": "",
        "receipts": {}, "timing": timing, "memory": {**dict.fromkeys(record.MEMORY), "peak_rss_bytes": 5},
        "images": [], "quality": {}, "environment": environment, **parts,
    }  # fmt: skip


def write(results, *records):
    for one in records:
        helpers.store(results, one)
    return results


def test_a_row_says_everything(tmp_path):
    quality = {"lpips": {**QUALITY, "value": 0.2}, "psnr.truth": {**QUALITY, "value": 20.0, "backbone": None}}
    quality["quality"] = {**QUALITY, "value": 80.0, "anchor": "the untouched input"}
    quality["ssim"] = {"value": None, "ci95": None, "against": "00", "backbone": None, "problem": "x.png is missing"}
    images = [{"input": "a", "seed": 1, "file": "images/a.png", "sha256": "a"}]
    write(tmp_path, content("01", quality=quality, images=images), content("00", steps=20, quality=quality))
    table, damaged = frame.load(tmp_path)
    assert damaged == []
    assert list(table["id"]) == ["00", "01"]
    assert list(table["baseline"]) == [True, False]
    row = table.iloc[1]
    expected = {
        "study": "s", "label": "steps=4", "pipeline": "objectclear", "model": "bundled stand-in model", "steps": 4,
        "precision": "fp32", "status": "ok", "latency_s": 2.0, "latency_q1_s": 1.5, "latency_q3_s": 2.5,
        "latency_spread": 0.25, "first_call_s": 2.0, "load_s": 3.0, "peak_rss_bytes": 5, "lpips": 0.2, "lpips_low": 0.1,
        "lpips_high": 0.3, "lpips_floor": 0.05, "lpips_visible": True, "psnr.truth": 20.0, "quality": 80.0,
        "anchor": "the untouched input", "problem": "x.png is missing", "images": images,
        "backbone": QUALITY["backbone"], "path": str(tmp_path / "s" / "01.json"),
        "stand_in": "bundled stand-in model; LPIPS backbone: alex, untrained (seed 0) stand-in",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert pandas.isna(row["ssim"])
    assert pandas.isna(row["peak_vram_allocated_bytes"])


def test_a_trial_that_failed_is_a_row(tmp_path):
    empty = {"load_s": None, "first_call_s": None, "latency_s": [], "step_s": [], "component_s": {}}
    write(tmp_path, content("00"), content("01", status="oom", reason="no memory", timing=empty))
    table, _ = frame.load(tmp_path, "s")
    failed = table[table["status"] == "oom"].iloc[0]
    assert failed["reason"] == "no memory"
    assert pandas.isna(failed["latency_s"])


@pytest.mark.parametrize(
    ("text", "says"), [("{", "is damaged"), ("[]", "is no record"), ("{}", "is no record"), ("\0\0", "is damaged")]
)
def test_a_damaged_record_is_named_and_left_out(tmp_path, text, says):
    write(tmp_path, content("00"))
    path = tmp_path / "s" / "01.json"
    path.write_text(text)
    table, (problem,) = frame.load(tmp_path)
    assert list(table["id"]) == ["00"]
    assert str(path) in problem
    assert says in problem


def test_a_record_without_its_parts_is_named_and_left_out(tmp_path):
    write(tmp_path, content("00"), {k: v for k, v in content("01").items() if k != "timing"})
    table, (problem,) = frame.load(tmp_path)
    assert list(table["id"]) == ["00"]
    assert "01.json" in problem
    assert "timing" in problem
    write(tmp_path, content("01", quality={"lpips": 3}))
    assert "01.json is damaged: its quality.lpips must be object" in frame.load(tmp_path)[1][0]


def test_environments_are_mixed_only_when_asked_and_never_checked_across_studies(tmp_path):
    write(tmp_path, content("00"), content("01", host="other"), content("02", study="t", host="third"))
    with pytest.raises(BadInput, match=r"host: .* and other"):
        frame.load(tmp_path)
    assert len(frame.load(tmp_path, mixed=True)[0]) == 3
    assert list(frame.load(tmp_path, "t")[0]["id"]) == ["02"]


def test_nothing_measured_is_an_empty_table(tmp_path):
    for results, study in ((tmp_path, None), (tmp_path / "none", None), (tmp_path, "none")):
        table, damaged = frame.load(results, study)
        assert len(table) == 0
        assert damaged == []
        assert {"study", "id", "status", "baseline"} <= set(table.columns)


def test_torch_is_not_imported(tmp_path):
    write(tmp_path, content("00"))
    script = "import sys; from pathlib import Path; from mic2e_bench.records import frame; "
    script += "frame.load(Path(sys.argv[1])); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)


def test_many_records_are_read_fast(tmp_path):
    """2,000 records in 0.4 s of a quiet processor; three times that is allowed here."""
    quality = {name: {**QUALITY, "value": 0.5} for name in ("lpips", "ssim", "psnr", "quality", "lpips.truth")}
    folder = tmp_path / "s"
    folder.mkdir()
    for number in range(2000):
        id = f"{number:016x}"
        (folder / f"{id}.json").write_text(json.dumps(content(id, quality=quality)))
    start = time.process_time()
    table, _ = frame.load(tmp_path)
    assert len(table) == 2000
    assert time.process_time() - start < 1.2


def test_an_interval_over_few_pictures_that_an_older_version_stored_is_not_shown(tmp_path):
    one = content("00", quality={"lpips": {**QUALITY, "value": 0.2, "n": 4}})
    table, _ = frame.load(write(tmp_path, one))
    assert table["lpips"].tolist() == [0.2] and table["lpips_low"].isna().all()
    (stored,) = tmp_path.glob("s/*.json")
    assert record.read(stored).raw["quality"]["lpips"]["ci95"] == [0.1, 0.3]  # what was stored stays in the record
