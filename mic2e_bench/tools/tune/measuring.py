"""From points of a space to records under one protocol."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from mic2e_bench.errors import BadInput
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.settings import check, show
from mic2e_bench.plan.trial import Trial
from mic2e_bench.records import comparable, record
from mic2e_bench.records.record import Record
from mic2e_bench.report import frame
from mic2e_bench.run import runner
from mic2e_bench.run.scoring import score
from mic2e_bench.tools.recommend import candidates, recommend
from mic2e_bench.tools.tune.space import GridPoint, Space


@dataclasses.dataclass
class Measuring:
    """Measures points under one protocol. ``study`` has the baseline that quality is scored against.

    ``scored_s`` are the seconds that scoring has taken so far.
    """

    study: Study
    space: Space
    results: Path
    lpips_weights: Path | None = None
    scored_s: float = 0.0

    def trial(self, point: GridPoint) -> Trial:
        given = self.space.settings(point)
        settings = {name: check(name, value, self.study.pipeline, self.study.name) for name, value in given.items()}
        label = ", ".join(f"{name}={show(value)}" for name, value in settings.items())
        base = self.study.baseline
        content = {**base.content, "settings": {**base.content["settings"], **settings}}
        trial = Trial.of(base.study, label, content)
        return base if trial.id == base.id else trial

    def measure(self, points: Sequence[GridPoint]) -> dict[GridPoint, Record]:
        """The scored records of points; those that share a build share a process, and what is stored stays."""
        trials = {point: self.trial(point) for point in points}
        self.run(sorted(trials.values(), key=lambda trial: trial.build_key))
        return {point: self.read(trial) for point, trial in trials.items()}

    def again(self, point: GridPoint) -> Record:
        """The record of a point, measured anew in a process of its own."""
        trial = self.trial(point)
        runner.run([self._study([trial])], self.results, rerun=True)
        self.run([trial])
        return self.read(trial)

    def baseline(self) -> Record:
        """The baseline's record. Raises ``BadInput`` where it could not be measured."""
        self.run([])
        found = self.read(self.study.baseline)
        if found.status != "ok":
            why = f"was not measured: {found.status}: {found.reason}"
            raise BadInput(f"{self.study.name}: the baseline, which quality is scored against, {why}.")
        return found

    def run(self, trials: Sequence[Trial]) -> None:
        """Measure and score what is not yet, with the baseline."""
        base = self.study.baseline
        study = self._study([base, *(trial for trial in trials if trial is not base)])
        runner.run([study], self.results)
        begin = monotonic()
        score.studies([study], self.results, self.lpips_weights)
        self.scored_s += monotonic() - begin

    def read(self, trial: Trial) -> Record:
        return record.read(record.path_of(self.results, self.study.name, trial.id))

    def _study(self, trials: Sequence[Trial]) -> Study:
        return dataclasses.replace(self.study, trials=tuple(trials), refused={})


@dataclasses.dataclass(frozen=True)
class Columns:
    """Which columns of a frame are the memory and the quality of this search; no quality where none is scored."""

    memory: str
    metric: str

    @classmethod
    def of(cls, baseline: Record) -> Columns:
        """Those that the baseline's record has a value of."""
        row = frame.row(baseline, "")
        metric = next((name for name in candidates.QUALITY if row.get(name) is not None), "")
        return cls(comparable.memory_of(baseline), metric)

    @property
    def names(self) -> list[str]:
        """The quantities, in the order of a trial's values."""
        return list(recommend.QUANTITIES if self.metric else recommend.QUANTITIES[:2])

    def point(self, one: Record, path: str = "") -> recommend.Point:
        """A record with its values and their noise."""
        return recommend.points([frame.row(one, path)], self.memory, self.metric, {one.id: one})[0]
