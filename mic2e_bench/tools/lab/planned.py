"""What a study will cost before anything of it runs: its trials with their state, time and memory, all estimated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mic2e_bench import paths, units
from mic2e_bench.machine import environment
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.settings import missing
from mic2e_bench.plan.trial import Trial
from mic2e_bench.records import record
from mic2e_bench.records.comparable import MEMORY_NAMES, RSS, VRAM, is_measured
from mic2e_bench.records.record import Record
from mic2e_bench.report.tabular import Table
from mic2e_bench.tools.budget.durations import Durations

MOST_RECORDS = 300  # to learn from


@dataclass(frozen=True)
class Planned:
    """A study's trials in the order of its plan; ``seconds`` and ``memory`` are estimates, by a trial's id.

    ``seconds`` are of what is still to measure, ``import_s`` is what the libraries take before it. ``memory`` is in
    bytes. ``learned`` counts the records of this pipeline on this device that the estimates rest on.
    """

    study: Study
    states: dict[str, str]
    seconds: dict[str, float]
    import_s: float
    memory: dict[str, float]
    learned: int
    on_gpu: dict[str, float] = field(default_factory=dict)  # by ``fit``, where that was asked for

    @property
    def to_measure(self) -> int:
        return len(self.seconds)

    @property
    def total_s(self) -> float:
        return sum(self.seconds.values()) + self.import_s if self.seconds else 0.0

    def headline(self) -> str:
        """What Start will do."""
        name, count = self.study.name, len(self.study.trials)
        if not self.to_measure:
            return f"{name}: nothing is left to measure of {count} trials."
        rest = "guessed: nothing like it was measured here yet"
        if self.learned:
            rest = f"estimated from {self.learned} records here"
        return (
            f"{name}: {self.to_measure} of {count} trials to measure, about {units.duration(self.total_s)} "
            f"({rest}; {units.duration(self.import_s)} of it to import the libraries)."
        )

    def table(self, limits: dict[str, float] | None = None) -> Table:
        """A row a trial. ``limits`` are by column of a record; an estimate beyond its limit says so."""
        header = ["trial", "state", "time (estimated)", f"{self._memory_name()} (estimated)"]
        if self.on_gpu:
            header.append("GPU memory (estimated by fit)")
        rows = [self._row(trial, limits or {}) for trial in self.study.trials]
        return Table(header, rows, " ".join(self.study.remarks), left=(0, 1))

    def _memory_name(self) -> str:
        return MEMORY_NAMES[VRAM if _on_gpu(self.study.baseline) else RSS]

    def _row(self, trial: Trial, limits: dict[str, float]) -> list[str]:
        seconds = self.seconds.get(trial.id)
        cells = [trial.label, self.states[trial.id], units.duration(seconds) if seconds else units.NONE]
        for known in (self.memory, *([self.on_gpu] if self.on_gpu else [])):
            size = known.get(trial.id)
            beyond = size and "memory" in limits and size > limits["memory"]
            cells.append(f"{units.write(size, 'B')}{' (above the limit)' if beyond else ''}" if size else units.NONE)
        return cells


def of(study: Study, results: Path) -> Planned:
    """Plan a study with its estimates. Reads records, runs nothing."""
    states = {trial.id: _state(study, trial, results) for trial in study.trials}
    similar, known = _similar(study, results), Durations()
    for one in similar:
        known.add(one)
    left = [trial for trial in study.trials if states[trial.id] == "to measure"]
    memory = {trial.id: size for trial in study.trials if (size := _memory(trial, similar))}
    return Planned(study, states, known.estimates(left), known.import_s, memory, len(similar))


def _state(study: Study, trial: Trial, results: Path) -> str:
    """``measured``, ``to measure``, or why it will not be."""
    if trial.id in study.refused:
        return f"refused: {study.refused[trial.id]}"
    old = record.read_if_there(record.path_of(results, study.name, trial.id))
    if old and is_measured(old):
        return "measured" if old.status == "ok" else f"measured, {old.status.replace('_', ' ')}"
    lacking = missing(trial.settings)
    return f"unavailable here: {lacking}" if lacking else "to measure"


def _similar(study: Study, results: Path) -> list[Record]:
    """Measured records of the pipeline and its kind of weights on this device, this study's first."""
    names = [study.name]
    if results.is_dir():
        names += sorted(path.name for path in results.iterdir() if study.pipeline.name in path.name)
    trial, found = study.baseline, []
    here = environment.here(trial.settings["device"])["device"]
    for path in _first(names, results):
        one = record.read_if_there(path)
        if one and is_measured(one) and one.pipeline == trial.pipeline and one.environment.get("device") == here:
            found += [one] if one.model.get("source") == trial.model["source"] else []
    return found


def _first(names: Sequence[str], results: Path) -> list[Path]:
    folders = [results / name for name in dict.fromkeys(names) if paths.is_name(name)]
    return [path for folder in folders for path in record.paths(folder)][:MOST_RECORDS]


def _memory(trial: Trial, similar: Sequence[Record]) -> float | None:
    """The peak of the record nearest to a trial: of the same build, else of the nearest size; ``None`` without one."""
    column = VRAM if _on_gpu(trial) else RSS
    sizes = [(one.trial, one.memory.get(column)) for one in similar]
    known = [
        (other.build_key != trial.build_key, abs(math.log(other.work / trial.work)), size)
        for other, size in sizes
        if size
    ]
    return min(known)[2] if known else None


def _on_gpu(trial: Trial) -> bool:
    return trial.settings["device"].startswith("cuda")
