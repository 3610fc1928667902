"""Records as runs of MLflow: an experiment a study, a run a record.

Parameters are the settings and the protocol, metrics the numbers of ``mic2e_bench.load()``, and the timed calls one
after the other as ``latency_sample_s``. A record is known by the hash of its content, a run's tag, which is written
last: what is there already is not logged twice, and what was interrupted is logged anew.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mic2e_bench import texts
from mic2e_bench.errors import BadInput
from mic2e_bench.plan.settings import show
from mic2e_bench.records import comparable
from mic2e_bench.records.record import Record
from mic2e_bench.report import frame
from mic2e_bench.tools.share import store
from mic2e_bench.tools.share.stored import Stored

if TYPE_CHECKING:
    from mlflow import MlflowClient

HASH, PREFIX = "mic2e_bench.content_sha256", "mic2e_bench."
_NOT_A_NAME = re.compile(r"[^\w./ :-]", re.ASCII)
LONGEST = {"name": 250, "param": 6000, "tag": 5000}  # characters that MLflow takes
STEP = 1000  # metrics of one request


def write(stored: Stored, uri: str) -> tuple[int, int]:
    """Log what is not there yet; returns how many records were logged, and how many were there. Raises ``BadInput``."""
    logged = 0
    with store.opened(uri) as client:
        known = {name: _experiment(client, name, uri) for name in dict.fromkeys(one.study for one, _ in stored.records)}
        for one, _ in stored.records:
            experiment, there = known[one.study]
            if one.digest not in there:
                _log(client, experiment, one)
                there.add(one.digest)
                logged += 1
    return logged, len(stored.records) - logged


def _experiment(client: MlflowClient, study: str, uri: str) -> tuple[str, set[str]]:
    """The id of a study's experiment, made where there is none, and the hashes of the records in it."""
    found = client.get_experiment_by_name(study)
    if found is None:
        # a place of its own, never ./mlruns: no file is written there, but MLflow wants to know one
        place = f"{urlsplit(uri).path.removeprefix('/')}.artifacts" if uri.startswith("sqlite") else None
        return client.create_experiment(study, artifact_location=place and Path(place).absolute().as_uri()), set()
    if found.lifecycle_stage != "active":
        raise BadInput(f"share: the experiment '{study}' was deleted in MLflow: restore it, or rename it there.")
    there: set[str] = set()
    token = None
    while token != "":
        page = client.search_runs([found.experiment_id], max_results=1000, page_token=token)
        there |= {run.data.tags[HASH] for run in page if HASH in run.data.tags}
        token = page.token or ""
    return found.experiment_id, there


def _log(client: MlflowClient, experiment: str, one: Record) -> None:
    from mlflow.entities import Metric, Param, RunTag

    start, end = (_milliseconds(one.environment.get(name)) for name in ("started", "finished"))
    run = client.create_run(experiment, start_time=start, run_name=one.label[: LONGEST["name"]] or one.id)
    metrics = [Metric(name, value, end or start or 0, step) for name, value, step in metrics_of(one)]
    params = [Param(name, value[: LONGEST["param"]]) for name, value in _params(one).items()]
    tags = [RunTag(f"{PREFIX}{name}", value[: LONGEST["tag"]]) for name, value in _tags(one).items()]
    for first in range(0, len(params), 100):  # MLflow's most of one request
        client.log_batch(run.info.run_id, params=params[first : first + 100])
    for first in range(0, len(metrics), STEP):
        client.log_batch(run.info.run_id, metrics=metrics[first : first + STEP])
    client.log_batch(run.info.run_id, tags=tags)
    client.set_terminated(run.info.run_id, "FINISHED" if comparable.is_measured(one) else "FAILED", end)
    client.set_tag(run.info.run_id, HASH, one.digest)  # the last: so it is whole


def _milliseconds(text: Any) -> int | None:
    try:
        return int(datetime.fromisoformat(str(text)).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return None


def name_of(text: str) -> str:
    """A name that MLflow takes: it refuses most punctuation, and what reads as a path with ``..``."""
    name = _NOT_A_NAME.sub("_", text)[: LONGEST["name"]].strip("/. ")
    return re.sub(r"\.\.+|//+", "_", name) or "_"


def _params(one: Record) -> dict[str, str]:
    given = {**one.settings, "pipeline": one.pipeline, "model": frame.sources.label(one.model)}
    given |= {f"protocol.{name}": value for name, value in one.protocol.items()}
    return {name_of(name): texts.plain(show(value)) for name, value in given.items()}


def metrics_of(one: Record) -> Iterator[tuple[str, float, int]]:
    """Every number of the frame's row, then the timed calls: name, value, step."""
    left_out = {*one.settings, "baseline", "deterministic"}
    for name, value in frame.row(one, "").items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if name not in left_out and is_number and math.isfinite(value):
            yield name_of(name), float(value), 0
    for step, seconds in enumerate(one.latency_s):
        yield "latency_sample_s", seconds, step


def _tags(one: Record) -> dict[str, str]:
    where = one.environment
    found = {
        "id": one.id, "study": one.study, "label": one.label, "status": one.status, "reason": one.reason,
        "stand_ins": frame.stand_ins(one.model, frame.backbones(one)),
        "disturbed": "; ".join(comparable.disturbed(one)),
        "baseline": str(comparable.is_baseline(one)).lower(),
        **{name: where.get(name) for name in ("host", "device", "driver", "python", "git")},
    }  # fmt: skip
    return {name: texts.plain(value) for name, value in found.items() if value}
