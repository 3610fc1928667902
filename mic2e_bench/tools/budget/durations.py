"""How long a build and a trial will take, in seconds, estimated from records of this device. Runs nothing.

The nearest record decides: of the same trial, else of the same build, else of a build made in the same way, else of the
same pipeline and weights; by the work of a call (steps x pixels x pictures) and the number of calls. Where there is
none, a prior stands in. A lower bound from a trial that was cut off raises whatever would be estimated.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mic2e_bench import files
from mic2e_bench.catalog.toggles import wait_policy
from mic2e_bench.machine import environment
from mic2e_bench.plan import protocol
from mic2e_bench.plan.trial import Trial, grouped
from mic2e_bench.records import record
from mic2e_bench.records.comparable import is_measured
from mic2e_bench.records.record import Record
from mic2e_bench.run import forkserver

MARGIN = 1.1  # of what the records say: the next one may be a little slower
LONGER = 1.1  # of the time in which a trial did not end: it takes that long at least
IMPORT_S = 20.0  # of the libraries, where no record says how long it took
FILE = ".cut-off"  # in a study's folder: the lower bounds

# What stands in where no record says anything; measured on two cores (bundled) or read from the sources (the others).
LOAD_S = {"bundled": 3.0, "random": 10.0}
LOAD_OTHER_S = 30.0  # weights of full size from a disk
# that the first call takes longer where a setting is not this: a cold compilation, an export with its session
COLD_S = {"compile": ("none", 120.0), "engine": ("torch", 60.0)}
OVERHEAD_S = 0.5  # of a trial beside its calls
RATE_S = {("bundled", "cpu"): 1.5e-6, ("bundled", "cuda"): 2e-7}  # seconds per step and pixel
RATE_OTHER_S = {"cpu": 3e-5, "cuda": 3e-7}

WAYS = ("compile", "compile_cache", "engine", "quantize", "offload", "process", "precision", "threads")


@dataclass(frozen=True)
class Pace:
    """What one record says: the work of a call (see ``unit``), the calls, and the seconds for them."""

    unit: float
    calls: float
    seconds: float  # without ``cold_s``
    cold_s: float  # that the first call took longer than the others

    def scaled(self, unit: float, calls: float) -> float:
        return self.cold_s + self.seconds * (unit / self.unit) * (calls / self.calls)


@dataclass
class Durations:
    """What is known of durations: ``add`` records; ``load_s``, ``trial_s`` and ``import_s`` are estimates."""

    loads: dict[Any, list[float]] = field(default_factory=dict)
    samples: dict[Any, list[Pace]] = field(default_factory=dict)
    failed: dict[str, float] = field(default_factory=dict)  # seconds to the end of a trial without figures, by its id
    imports: list[float] = field(default_factory=list)
    bounds: dict[str, float] = field(default_factory=dict)  # seconds that were too few, by trial, build or rounds

    def add(self, one: Record) -> None:
        """Learn from a record. One of another device, or one that says nothing of its duration, is passed over."""
        try:
            trial = one.trial
            here = environment.here(trial.settings["device"])["device"]
            if one.environment.get("device") == here:
                self._learn(trial, one)
        except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
            return

    def _learn(self, trial: Trial, one: Record) -> None:
        during = (one.environment.get("during") or {}).get("seconds")
        if not is_measured(one):
            if during:
                self.failed[trial.id] = _seconds(during)
            return
        load, calls, latency = _seconds(one.load_s), _seconds(one.calls_s), one.latency_s
        cold = max(0.0, _seconds(one.first_call_s) - statistics.median(map(_seconds, latency)))
        whole = calls + OVERHEAD_S
        if during and not trial.is_in_rounds:  # in rounds it is the time of all; else with the load, for the first one
            whole = max(whole, _seconds(during) - load)
        made = len(one.warmup_s) + len(latency) + pictures(trial)
        sample = Pace(unit(trial), made, max(whole - cold, calls - cold), cold)
        self.failed.pop(trial.id, None)
        self.bounds.pop(trial.id, None)
        # from a cold build, other kinds of builds of the same weights learn nothing
        is_cold = any(trial.settings.get(name, plain) != plain for name, (plain, _) in COLD_S.items())
        for level in (*_own(trial), *([] if is_cold or trial.restarts else [_kind(trial)])):
            self.samples.setdefault(level, []).append(sample)
            self.loads.setdefault(level, []).append(load)
        if one.import_s:
            self.imports.append(_seconds(one.import_s))

    @property
    def import_s(self) -> float:
        """Importing the libraries."""
        return MARGIN * statistics.median(self.imports) if self.imports else IMPORT_S

    def load_s(self, trial: Trial) -> float:
        """Making the build of a trial; a spawned process imports the libraries for it."""
        spawned = forkserver.start_method(wait_policy.of(trial.settings)) == "spawn"
        import_s = self.import_s if spawned else 0.0
        known = next((self.loads[level] for level in (*_own(trial), _kind(trial)) if level in self.loads), None)
        prior = LOAD_S.get(trial.model["source"], LOAD_OTHER_S)
        load_s = MARGIN * statistics.median(known) if known else prior
        return import_s + max(load_s, self.bounds.get(trial.build_key, 0.0))

    def trial_s(self, trial: Trial) -> float:
        """Measuring a trial on a build that is loaded."""
        known = next((self.samples[level] for level in _own(trial) if level in self.samples), None)
        found = MARGIN * _nearest(known, trial) if known else self._guess(trial)
        return max(found, self.failed.get(trial.id, 0.0), self.bounds.get(trial.id, 0.0))

    def _guess(self, trial: Trial) -> float:
        """From other kinds of builds of the same weights, or from the priors."""
        settings, kind = trial.settings, trial.settings["device"].partition(":")[0]
        if known := self.samples.get(_kind(trial)):
            found = MARGIN * _nearest(known, trial)
        else:
            rate = RATE_S.get((trial.model["source"], kind), RATE_OTHER_S.get(kind, RATE_OTHER_S["cuda"]))
            found = OVERHEAD_S + rate * unit(trial) * typical_calls(trial)
        found += sum(seconds for name, (plain, seconds) in COLD_S.items() if settings.get(name, plain) != plain)
        if trial.restarts:  # each timed call loads
            found += (typical_calls(trial) - pictures(trial)) * self.load_s(trial)
        return found

    def group_s(self, group: Iterable[Trial]) -> float:
        """A build and all these trials of it; where rounds are spread over builds, all of them."""
        group = list(group)
        return builds(group[0]) * self.load_s(group[0]) + sum(map(self.trial_s, group))

    def estimates(self, trials: Iterable[Trial]) -> dict[str, float]:
        """Seconds of each trial, by its id; the load of a build is the first one's."""
        found = {}
        for group in grouped(list(trials)):
            for trial in group:
                load_s = builds(trial) * self.load_s(trial) if trial is group[0] else 0.0
                found[trial.id] = load_s + self.trial_s(trial)
        return found

    def cut(self, key: str, seconds: float) -> None:
        """Remember that this time was too short for a trial (its id), a build (its key) or rounds."""
        self.bounds[key] = max(self.bounds.get(key, 0.0), LONGER * seconds)

    def read(self, folder: Path) -> None:
        """Learn from the records in a study's folder, and from what was cut off there."""
        for path in record.paths(folder):
            if one := record.read_if_there(path):
                self.add(one)
        try:
            stored = json.loads((folder / FILE).read_bytes())
            self.bounds |= {str(key): _seconds(value) for key, value in stored.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return  # nothing was cut off, or nobody knows any more

    def write(self, folder: Path) -> None:
        """Keep the lower bounds for the next run."""
        files.write_whole(folder / FILE, json.dumps(self.bounds, indent=1, sort_keys=True).encode() + b"\n")


def of(results: Path, studies: Iterable[str]) -> Durations:
    """What the records of these studies say."""
    found = Durations()
    for name in studies:
        found.read(results / name)
    return found


def unit(trial: Trial) -> float:
    """The work of one call: steps x pixels x pictures at once."""
    images = pictures(trial)
    return trial.work / (protocol.most_calls(trial.protocol) + images) * trial.settings.get("batch", 1)


def pictures(trial: Trial) -> int:
    """Calls of the memory pass: one for each input and seed."""
    return len(trial.inputs["items"]) * len(trial.protocol["seeds"])


def typical_calls(trial: Trial) -> float:
    """Calls of a trial; where it ends by itself, twice the least that it can."""
    warmup, repeats = trial.protocol["warmup"], trial.protocol["repeats"]
    timed = repeats if isinstance(repeats, int) else min(2 * repeats["min"], repeats["max"])
    return builds(trial) * (6 if warmup == protocol.STEADY else warmup) + timed + pictures(trial)


def builds(trial: Trial) -> int:
    """The builds that a trial's rounds are spread over."""
    return trial.protocol.get("builds", 1) if trial.is_in_rounds else 1


def rounds_key(groups: Iterable[Iterable[Trial]]) -> str:
    """What bounds of an interleaved study are kept under."""
    return "rounds " + " ".join(sorted(trial.id for group in groups for trial in group))


def _nearest(known: Iterable[Pace], trial: Trial) -> float:
    """The seconds that the sample of the nearest work gives a trial; of several the slowest."""
    mine = unit(trial)
    one = min(known, key=lambda one: (abs(math.log(one.unit / mine)), -one.seconds / one.calls))
    return one.scaled(mine, typical_calls(trial))


def _own(trial: Trial) -> tuple[Any, ...]:
    """What a trial's durations are kept under, the nearest first."""
    settings = trial.content["settings"]
    return trial.id, trial.build_key, (*_kind(trial), *(str(settings.get(name)) for name in WAYS))


def _kind(trial: Trial) -> tuple[str, ...]:
    return trial.pipeline, trial.model["source"], trial.settings["device"]


def _seconds(value: Any) -> float:
    """A duration as stored. Raises ``ValueError`` for what can be none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e9:
        raise ValueError(value)
    return float(value)
