"""Every params file with the state of its studies: what is planned, measured and failed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mic2e_bench import files, paths
from mic2e_bench.errors import BadInput
from mic2e_bench.plan import params
from mic2e_bench.plan.params import Study
from mic2e_bench.records import record
from mic2e_bench.records.comparable import is_measured

OTHER = {"kind": "throughput", "space": "tune"}  # keys of files of other commands
MOST_S = 5.0  # for all of it: the start page shall be there at once
MOST_RECORDS = 3000


@dataclass(frozen=True)
class State:
    """A study of a params file. ``problem``: why nothing more is known of it."""

    file: str  # from the workbench's root
    name: str
    pipeline: str = ""
    planned: int = 0
    measured: int = 0
    failed: int = 0
    problem: str = ""


def states(results: Path) -> list[State]:
    """Of every params file under ``params/``; what there is no time for has that as its problem."""
    until, left, found = time.monotonic() + MOST_S, MOST_RECORDS, []
    for path in sorted((paths.root() / "params").glob("**/*.yaml")):
        for state in _of_file(path, results, until, left):
            found.append(state)
            left -= state.measured + state.failed
    return found


def _of_file(path: Path, results: Path, until: float, left: int) -> Iterator[State]:
    file = str(path.relative_to(paths.root()))
    if time.monotonic() > until or left <= 0:
        yield State(file, path.stem, problem="not looked at: there are many records")
        return
    try:
        documents = [one for one in files.read_documents(path) if isinstance(one, dict)]
        if other := next((OTHER[key] for key in OTHER if any(key in one for one in documents)), None):
            name = str(documents[0].get("study", path.stem))
            yield State(file, name, str(documents[0].get("pipeline", "")), problem=f"mic2e-bench {other} {file}")
        elif any("pipeline" in one for one in documents):
            for study in params.read_all(path):
                yield of_study(study, results, file)
    except BadInput as error:
        yield State(file, path.stem, problem=str(error))


def of_study(study: Study, results: Path, file: str = "") -> State:
    """How much of a study has records."""
    found = [record.read_if_there(record.path_of(results, study.name, trial.id)) for trial in study.trials]
    measured = sum(is_measured(one) for one in found if one)
    failed = sum(not is_measured(one) for one in found if one)
    return State(file, study.name, study.pipeline.name, len(study.trials), measured, failed)
