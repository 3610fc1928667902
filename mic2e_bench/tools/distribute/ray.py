"""The driver: it plans, holds each study's lock, hands units of work to Ray actors, and goes on where one dies."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mic2e_bench.errors import BadInput
from mic2e_bench.plan.params import Study
from mic2e_bench.records.folder import locked
from mic2e_bench.run import runner
from mic2e_bench.run.outcomes import Outcomes, Summary
from mic2e_bench.run.progress import Progress
from mic2e_bench.tools import cluster
from mic2e_bench.tools.distribute import hardware
from mic2e_bench.tools.distribute.slots import Slot, Slots, token
from mic2e_bench.tools.distribute.spread import Spread

if TYPE_CHECKING:
    from mic2e_bench.tools.budget.durations import Durations


@dataclass(frozen=True)
class Executor:
    """How a run is spread: so many ``workers`` on a cluster at ``address``, or on one that is started for it."""

    workers: int = 1
    address: str = ""


def run(
    studies: Iterable[Study],
    results: Path,
    executor: Executor,
    *,
    rerun: bool | str = False,
    force: bool = False,
    durations: Durations | None = None,
) -> Summary:
    """``runner.run`` on several workers: the same records, each written by the worker that measured it.

    Raises ``BadInput`` where there is no such cluster or no hardware that a study names, ``KeyboardInterrupt`` after
    the workers have ended; what has its record keeps it.
    """
    summary, start, studies = Summary(), time.perf_counter(), list(studies)
    results = Path(results).absolute()
    devices = {study.baseline.settings["device"] for study in studies}
    if len(devices) > 1:
        raise BadInput(f"--executor ray: the studies are for {' and '.join(sorted(devices))}: run them one by one.")
    (device,) = devices
    with (
        token(results) as file,
        cluster.connected(executor.workers, device, executor.address, "--workers") as options,
    ):
        workers = Slots(cluster.imported(), options, device, file)
        for _ in range(executor.workers):
            workers.begin()
        workers.settle()
        if device == "cpu" and len({slot.here["boot"] for slot in workers.all}) < len(workers.all):
            print("several workers share a machine: what they time disturbs each other, and is marked", file=sys.stderr)
        for study in studies:
            with locked(results / study.name):
                outcomes = Outcomes(results, summary, baseline=study.baseline, force=force)
                _study(workers, study, outcomes, rerun, durations)
    summary.wall_s = time.perf_counter() - start
    return summary


def _study(workers: Slots, study: Study, outcomes: Outcomes, rerun: bool | str, durations: Durations | None) -> None:
    """Measure what of a study has no record, on the workers that it is for."""
    pending = runner.due(study, outcomes, rerun)
    if not pending:
        return
    stored = {} if rerun is True else hardware.of_store(study, outcomes.results)
    mine = fitting(workers.settle(), study, stored)
    wanted = stored or mine[0].here
    with Progress(pending, None, durations) as progress:
        outcomes.progress = progress
        Spread(workers, mine, lambda slot: why_not(slot, study, wanted, bool(stored)), study, outcomes, pending).all()


def fitting(slots: Iterable[Slot], study: Study, stored: Mapping[str, Any]) -> list[Slot]:
    """The workers whose hardware and packages are those of the study: as it names them, as its records have them.

    Without either it is the first worker's. Others are refused, in a line each. Raises ``BadInput`` where none is left.
    """
    found: list[Slot] = []
    refused = []
    for slot in slots:
        wanted = stored or (found[0].here if found else slot.here)
        if why := why_not(slot, study, wanted, bool(stored)):
            refused.append(why)
        else:
            found.append(slot)
    if not found:
        raise BadInput(f"{refused[0]}. Give workers of that hardware, or another --results.")
    for line in dict.fromkeys(refused):
        print(line, file=sys.stderr)
    return found


def why_not(slot: Slot, study: Study, wanted: Mapping[str, Any], is_stored: bool) -> str:
    """Why a worker has no part in a study that is for the ``wanted`` hardware; empty where it has."""
    why = hardware.not_for(study, slot.here)
    if not why and (other := hardware.differing(wanted, slot.here)):
        why = f"{'its records have' if is_stored else 'the first worker has'} other hardware or packages: {other}"
    return f"{study.name}: no work for a worker on {slot.here['host']}: {why}" if why else ""
