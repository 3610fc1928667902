"""Measure the points of throughput studies that have no record yet, one after the other; failures become records."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mic2e_bench import units
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import conditions, environment
from mic2e_bench.records import comparable
from mic2e_bench.records.folder import locked
from mic2e_bench.run import failures, forkserver
from mic2e_bench.tools.throughput import record
from mic2e_bench.tools.throughput.kind import Job, Point
from mic2e_bench.tools.throughput.record import ThroughputRecord
from mic2e_bench.tools.throughput.study import ThroughputStudy

EVERY_S = 10.0  # a line of a stage that goes on


def studies(
    found: Sequence[ThroughputStudy], results: Path, rerun: bool = False, address: str = ""
) -> list[list[ThroughputRecord]]:
    """The records of each study's points, in their order, measured where there is no whole one that counts as measured.

    Raises ``BadInput`` where the results cannot be written; an interrupt leaves every record that is there.
    """
    results, started = Path(results), False
    all_records = []
    for study in found:
        with locked(results / study.study.name):
            known = {} if rerun else _known(study, results)
            waiting = [point for point in study.points if record.identity(study, point) not in known]
            if waiting and not started:
                forkserver.start()
                started = True
            for number, point in enumerate(waiting, 1):
                one = _measured(study, point, results, address, _Telling(study, point, number, len(waiting)))
                known[one.id] = one
        all_records.append([known[record.identity(study, point)] for point in study.points])
    return all_records


def _known(study: ThroughputStudy, results: Path) -> dict[str, ThroughputRecord]:
    """The records that need no measuring, by identity."""
    ids = [record.identity(study, point) for point in study.points]
    found = [record.read(record.path_of(results, study.study.name, id)) for id in ids]
    return {one.id: one for one in found if one and one.status in comparable.MEASURED}


def _measured(study: ThroughputStudy, point: Point, results: Path, address: str, tell: _Telling) -> ThroughputRecord:
    """Measure one point and write its record."""
    trial, id = study.study.baseline, record.identity(study, point)
    device = trial.settings["device"]
    started, watch = environment.now(), conditions.Watch(device)
    log = results / study.study.name / "logs" / f"{id}.log"
    parts: dict[str, Any] = {}
    try:
        parts = study.kind.measure(point, Job(study.study, results, log, tell, address))
        status, reason = parts.pop("status", "ok"), parts.pop("reason", "")
    except BadInput:
        raise
    except Exception as error:
        status, reason = failures.classify(error), failures.describe(error)
    here = {**environment.here(device), "started": started, "finished": environment.now(), **watch.finish()}
    here |= parts.pop("environment", {})
    content = {"kind": study.kind.name, "id": id, "study": study.study.name, "label": point.label, "status": status}
    content |= {"reason": reason, "asked": dict(point.asked), "trial": trial.content, **parts, "environment": here}
    tell(status if not reason else f"{status}: {reason}", 1.0)
    return record.write(results, content)


class _Telling:
    """A line on standard error for each stage, with an estimate of the time that the point still takes."""

    def __init__(self, study: ThroughputStudy, point: Point, number: int, count: int) -> None:
        self.name = f"{study.study.name} {number}/{count} {point.label}"
        self.start, self.said, self.last = time.perf_counter(), "", 0.0

    def __call__(self, stage: str, share: float) -> None:
        passed = time.perf_counter() - self.start
        left = f", about {units.duration(passed / share - passed)} left" if 0 < share < 1 else ""
        if stage != self.said or passed - self.last > EVERY_S:
            print(f"{self.name}: {stage} [{units.duration(passed)}{left}]", file=sys.stderr, flush=True)
            self.said, self.last = stage, passed
