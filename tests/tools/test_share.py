"""Records for other programs: Parquet that pandas, DuckDB and datasets read, and runs of MLflow, none twice."""

import json
import math
import os
import socket
import sqlite3
import subprocess
import sys

import pytest
import whole_records
from helpers import command, refusal

from mic2e_bench.records import record
from mic2e_bench.tools.share import columns, parquet, store, tracked

EVIL = "<script>alert(1)</script> 'a' \"b\" ../x/🦊 \u202eابج"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A study of four trials, of which one failed and one has an odd name; and another kept as evidence."""
    folder, of = tmp_path_factory.mktemp("shared"), whole_records.study()
    for number, trial in enumerate(of.trials, 1):
        whole_records.write(folder, of, trial, number, "oom" if number == 4 else "ok")
    second = folder / of.name / f"{of.trials[1].id}.json"
    whole_records.change(second, label=EVIL)
    kept = whole_records.study("sam3", study="kept")
    whole_records.write(folder / "evidence" / "card", kept, kept.baseline, 2)
    return folder


def test_parquet_is_read_by_pandas_with_types_units_and_raw_samples(results, tmp_path, capsys):
    pandas, pq = pytest.importorskip("pandas"), pytest.importorskip("pyarrow.parquet")
    code, out, err = command(capsys, "share", "--results", results, "--parquet", tmp_path / "a.parquet")
    assert (code, err) == (0, "") and "5 records" in out
    table = pandas.read_parquet(tmp_path / "a.parquet")
    assert list(table.columns) == [column.name for column in columns.every()]
    first = table[table.study == "whole-objectclear"].set_index("label").loc["baseline"]
    assert first.latency_s == 1.0 and list(first.latency_samples_s) == [0.9, 1.0, 1.1]
    assert first.resolution == "512" and first.steps == 20 and first.low_cpu_mem_usage and first.started.tz
    assert EVIL.replace("\u202e", "\\u202e") in set(table.label)
    assert table.status.tolist().count("oom") == 1 and first.quality_scores[0]["metric"] == "lpips"
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert (
        schema.field("latency_s").metadata[b"unit"] == b"s"
        and b"median" in schema.field("latency_s").metadata[b"description"]
    )
    assert not any(str(field.type) in ("null", "binary") for field in schema)


def test_the_same_records_give_the_same_bytes_and_the_schema_is_the_same_of_any(results, tmp_path, capsys):
    pq = pytest.importorskip("pyarrow.parquet")
    names = {"a": [], "b": [], "c": ["evidence/card/kept"]}
    for name, studies in names.items():
        assert command(capsys, "share", *studies, "--results", results, "--parquet", tmp_path / name)[0] == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()
    one, other = (pq.read_schema(tmp_path / name) for name in "ac")
    assert one.equals(other, check_metadata=True) and pq.read_table(tmp_path / "c").num_rows == 1


def test_parquet_is_read_by_duckdb(results, tmp_path, capsys):
    duckdb = pytest.importorskip("duckdb")
    command(capsys, "share", "--results", results, "--parquet", tmp_path / "a.parquet")
    asked = "select median(latency_s), max(len(latency_samples_s)), min(started) from read_parquet(?) where status='ok'"
    middle, most, started = duckdb.execute(asked, [str(tmp_path / "a.parquet")]).fetchone()
    assert (middle, most) == (2.0, 3) and started.year == 2026


def test_parquet_is_read_by_datasets(results, tmp_path, capsys):
    """In a process of its own: its import takes seconds, and it asks the network unless it is told not to."""
    pytest.importorskip("datasets")
    command(capsys, "share", "--results", results, "--parquet", tmp_path / "a.parquet")
    asked = "import datasets, sys; d = datasets.Dataset.from_parquet(sys.argv[1], cache_dir=sys.argv[2])"
    asked += "; print(len(d), d[0]['latency_samples_s'], d.features['quality_scores'])"
    words = [sys.executable, "-W", "ignore", "-c", asked, str(tmp_path / "a.parquet"), str(tmp_path / "cache")]
    quiet = {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    ended = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **quiet}, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("5 [") and "metric" in ended.stdout


def test_a_file_is_written_whole_or_not_at_all(results, tmp_path, capsys):
    pytest.importorskip("pyarrow")
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "folder", "/proc/a.parquet"):
        assert "cannot write" in refusal(capsys, "share", "--results", results, "--parquet", place)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"] and not [*(tmp_path / "folder").iterdir()]


def test_a_value_of_another_type_is_nothing(results, tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow

    path = next((results / "whole-objectclear").glob("*.json"))
    content = json.loads(path.read_text())
    content["trial"]["settings"] |= {"of_later": [1, "x"], "step_count": 10**400}
    content["environment"] |= {"started": "yesterday", "host": "\ud800", "device": 10**400}
    content["memory"] = {**content["memory"], "weights_bytes": math.nan}
    row = columns.row(record.Record.of(content), path, results)
    assert row["started"] is None and row["weights_bytes"] is None and row["machine_host"] == "\\ud800"
    assert json.loads(row["other_settings"]) == {"of_later": [1, "x"], "step_count": 10**400}
    assert pyarrow.Table.from_pylist([row], schema=parquet.schema()).num_rows == 1


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*given, **named):
        raise AssertionError(f"the network was asked: {given[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.filterwarnings("ignore")  # of MLflow and what it imports
def test_mlflow_has_a_run_a_record_and_none_twice(results, tmp_path, capsys, monkeypatch, no_network):
    for name in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(name)
    for name in store.QUIET:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    uri = "sqlite:///runs.db"
    assert "5 records logged, 0 were there" in command(capsys, "share", "--results", results, "--mlflow", uri)[1]
    assert "0 records logged, 5 were there" in command(capsys, "share", "--results", results, "--mlflow", uri)[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs.db"]  # no ./mlruns, no ./mlartifacts
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == os.environ["DO_NOT_TRACK"] == "true"
    import mlflow

    mlflow.set_tracking_uri(uri)
    table = mlflow.search_runs(experiment_names=["whole-objectclear"])
    assert len(table) == 4 and sorted(table.status) == ["FAILED", "FINISHED", "FINISHED", "FINISHED"]
    base = table[table["tags.mic2e_bench.label"] == "baseline"].iloc[0]
    assert base["params.steps"] == "20" and base["metrics.latency_s"] == 1.0 and base["params.protocol.repeats"] == "5"
    assert base["metrics.quality"] == 99.0 and base["tags.mic2e_bench.stand_ins"] and base.start_time.year == 2026
    history = mlflow.MlflowClient(uri).get_metric_history(base.run_id, "latency_sample_s")
    assert [(one.step, one.value) for one in history] == [(0, 0.9), (1, 1.0), (2, 1.1)]
    assert EVIL.replace("\u202e", "\\u202e") in set(table["tags.mic2e_bench.label"])
    mlflow.delete_experiment(mlflow.get_experiment_by_name("kept").experiment_id)
    assert "'kept' was deleted" in refusal(capsys, "share", "--results", results, "--mlflow", uri)


def test_a_run_that_was_interrupted_is_logged_anew(results, tmp_path, capsys, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("alembic")
    uri, real = f"sqlite:///{tmp_path}/runs.db", tracked.metrics_of

    def stopped(one):
        raise KeyboardInterrupt

    monkeypatch.setattr(tracked, "metrics_of", stopped)
    words = ("share", "evidence/card/kept", "--results", results, "--mlflow", uri)
    assert command(capsys, *words)[0] == 130
    monkeypatch.setattr(tracked, "metrics_of", real)
    assert "1 records logged" in command(capsys, *words)[1]
    mlflow.set_tracking_uri(uri)
    table = mlflow.search_runs(experiment_names=["kept"])
    assert table[f"tags.{tracked.HASH}"].notna().tolist().count(True) == 1 and len(table) == 2


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("./mlruns", "refuses its file store"),
        ("file:///tmp/mlruns", "refuses its file store"),
        ("databricks://x", "unknown store 'databricks'"),
        ("sqlite:///", "give the database's file"),
        ("sqlite:////nowhere/at/all.db", "there is no folder /nowhere/at"),
        ("sqlite:////tmp", "give the database's file"),
        ("sqlite:////proc/runs.db", "unable to open database file"),
        ("http://[", "that is no address"),
        ("postgresql+none://me:secret@127.0.0.1:1/x", "postgresql+none://127.0.0.1:1/x"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1: API request"),
    ],
)
def test_a_store_that_cannot_be_is_refused_in_a_line(uri, said, results, capsys):
    if uri.startswith(("postgres", "sqlite:////proc", "http://1")):
        pytest.importorskip("mlflow")
        pytest.importorskip("alembic")
    line = refusal(capsys, "share", "--results", results, "--mlflow", uri)
    assert said in line and "secret" not in line


def test_a_file_that_is_no_database_of_mlflow_stays_as_it_is(results, tmp_path, capsys):
    pytest.importorskip("mlflow")
    pytest.importorskip("alembic")
    (tmp_path / "text.db").write_text("no database " * 99)
    with sqlite3.connect(tmp_path / "app.db") as other:
        other.execute("create table customers (name)")
    for name, said in (("text.db", "file is not a database"), ("app.db", "another program's database (it has cust")):
        before = (tmp_path / name).read_bytes()
        assert said in refusal(capsys, "share", "--results", results, "--mlflow", f"sqlite:///{tmp_path}/{name}")
        assert (tmp_path / name).read_bytes() == before


def test_names_are_such_that_mlflow_takes_them():
    for text in ("a/b", "../../x", "/etc", "a\nb", EVIL, "", "..", "x" * 999, "lpips.truth.inside"):
        name = tracked.name_of(text)
        assert 0 < len(name) <= 250 and ".." not in name and not name.startswith("/") and "<" not in name
    assert tracked.name_of("lpips.truth.inside") == "lpips.truth.inside"


@pytest.mark.parametrize(
    ("option", "value", "module"), [("--parquet", "x", "pyarrow"), ("--mlflow", "sqlite:///x", "mlflow")]
)
def test_a_package_that_is_missing_is_named(option, value, module, results, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    assert "pip install '.[track]'" in refusal(capsys, "share", "--results", results, option, value)
    assert not [*tmp_path.iterdir()]


def test_what_is_asked_for_is_there_or_said(results, tmp_path, capsys):
    assert "--parquet FILE" in refusal(capsys, "share", "--results", results)
    line = refusal(capsys, "share", "whole-objectclaer", "--results", results, "--parquet", tmp_path / "x")
    assert "Did you mean 'whole-objectclear'?" in line
    assert "has no records" in refusal(capsys, "share", "--results", tmp_path, "--parquet", tmp_path / "x")
    assert not [*tmp_path.iterdir()]
