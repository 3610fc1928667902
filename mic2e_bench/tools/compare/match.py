"""The two sides of a comparison: their records by trial, and which trial of one is which of the other.

A folder may hold the results of one run or of several: every record under it counts, and the records of one trial are
its **rounds**, in the order in which they were measured. Rounds of both sides that took turns (base, head, head, base)
show what a machine does by itself from one minute to the next.

Trials are the same where their identities are. What is left is matched by study and label, where the settings that
both sides know are the same: a commit that adds a toggle, trains new weights or asks for more repeats gives every
trial another identity, and what else differs is said beside the verdict.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mic2e_bench.errors import BadInput
from mic2e_bench.records import record
from mic2e_bench.records.comparable import is_baseline
from mic2e_bench.records.record import Record
from mic2e_bench.tools import verify

DEEPEST = 2  # results/<study>/<id>.json, with a folder for each round above it
NAME = re.compile(r"[0-9a-f]{16}\.json\Z")


@dataclass(frozen=True)
class StoredRecord:
    """One record and the folder of its study, which its images' names start from."""

    record: Record
    folder: Path


@dataclass(frozen=True)
class Rounds:
    """A trial of one side: its rounds in the order of time; the last one that was scored speaks for the others."""

    study: str
    id: str
    label: str
    runs: tuple[StoredRecord, ...]

    @property
    def measured(self) -> tuple[StoredRecord, ...]:
        return tuple(run for run in self.runs if run.record.status == "ok")

    @property
    def last(self) -> StoredRecord:
        scored = tuple(run for run in self.measured if run.record.quality)
        return (scored or self.measured or self.runs)[-1]

    @property
    def record(self) -> Record:
        """The one that speaks for the others."""
        return self.last.record


@dataclass(frozen=True)
class Results:
    """The trials of one folder, in the order of their studies and ids."""

    folder: Path
    trials: tuple[Rounds, ...]
    damaged: tuple[str, ...]

    def baseline_of(self, trial: Rounds) -> Rounds | None:
        """The trial that a trial's study is measured against."""
        return self._baselines.get(trial.study)

    @cached_property
    def _baselines(self) -> dict[str, Rounds]:
        """By study, the first one: looked for once, because a folder may have a hundred thousand trials."""
        return {one.study: one for one in reversed(self.trials) if is_baseline(one.record)}


@dataclass(frozen=True)
class Match:
    """One trial on both sides, and what differs beside the code."""

    base: Rounds
    head: Rounds
    notes: tuple[str, ...] = ()

    @property
    def in_turns(self) -> list[tuple[StoredRecord, StoredRecord]]:
        """The rounds of both sides that were measured one right after the other, in either order."""
        sides = (self.base.measured, self.head.measured)
        started = lambda run: str(run.record.environment.get("started", ""))  # noqa: E731
        every = [(started(run), number, side, run) for side in (0, 1) for number, run in enumerate(sides[side])]
        left = [(side, run) for _, _, side, run in sorted(every, key=lambda each: each[:3])]
        found = []
        while len(left) > 1:
            (side, run), (other_side, other), *rest = left
            if side == other_side:  # its pair failed, or the sides did not take turns
                left = left[1:]
            else:
                found.append((run, other) if side == 0 else (other, run))
                left = rest
        return found


@dataclass(frozen=True)
class Matches:
    """``gone`` are trials of the base that the head lacks, ``new`` those that the base lacks; with the reason."""

    matches: tuple[Match, ...]
    gone: tuple[tuple[Rounds, str], ...] = field(default=())
    new: tuple[tuple[Rounds, str], ...] = field(default=())


def read(folder: Path) -> Results:
    """Every record of a results folder, a study's folder, or a folder of such rounds. Raises ``BadInput``, also where a
    record or a picture is not what was written: no verdict rests on what was edited.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder. Give a results folder or a study's folder under it.")
    runs: dict[tuple[str, str], list[StoredRecord]] = {}
    damaged: list[record.Damaged] = []
    for path in _files(folder):
        try:
            one = record.read(path)
            if said := verify.changed(one, path.parent):
                raise BadInput(f"{said}. Nothing is compared with what was edited: measure it again.")
            runs.setdefault((one.study, one.id), []).append(StoredRecord(one, path.parent))
        except FileNotFoundError:  # a run has just set it aside
            continue
        except record.Edited as error:
            raise BadInput(f"{error}. Nothing is compared with what was edited: measure it again.") from None
        except record.Damaged as error:
            damaged.append(error)
    if not runs:
        raise BadInput(f"{folder}: no records{_instead(folder, damaged)}")
    time = lambda run: (str(run.record.environment.get("started", "")), str(run.folder))  # noqa: E731
    ordered = {key: sorted(some, key=time) for key, some in sorted(runs.items())}
    trials = [Rounds(study, id, some[-1].record.label, tuple(some)) for (study, id), some in ordered.items()]
    return Results(folder, tuple(trials), tuple(map(str, damaged)))


def _instead(folder: Path, damaged: list[record.Damaged]) -> str:
    """What there is instead of records, and what to do."""
    if damaged and isinstance(damaged[0], record.Newer):
        return f" that this version reads ({damaged[0]}). Compare with the version that wrote them."
    said = f" ({damaged[0]})" if damaged else ""
    return f"{said}. Measure first: mic2e-bench run PARAMS --results {shlex.quote(str(folder))}."


def _files(folder: Path) -> list[Path]:
    """The records' files of a folder and of those in it."""
    found = (path for depth in range(DEEPEST + 1) for path in folder.glob("*/" * depth + "*.json"))
    named = (path for path in found if NAME.match(path.name))
    return sorted(path for path in named if not {"images", "logs", "damaged"} & {*path.relative_to(folder).parts})


def match(base: Results, head: Results) -> Matches:
    """The trials of the base in order, each with the same one of the head. Raises ``BadInput`` where none are the same.

    Where each side is one study, its name plays no part.
    """
    one_study = all(len({trial.study for trial in side.trials}) == 1 for side in (base, head))
    by_id = {(one_study or trial.study, trial.id): trial for trial in head.trials}
    found: list[Match] = []
    left: list[Rounds] = []
    for trial in base.trials:
        same = by_id.get((one_study or trial.study, trial.id))
        found.append(Match(trial, same)) if same else left.append(trial)
    taken = {id(done.head) for done in found}
    free = [trial for trial in head.trials if id(trial) not in taken]
    named: dict[tuple[str | bool, str], list[Rounds]] = {}
    for trial in free:
        named.setdefault((one_study or trial.study, trial.label), []).append(trial)
    gone = []
    for trial in left:
        namesakes = named.get((one_study or trial.study, trial.label), [])
        reason = "no trial of that name" if not namesakes else _unlike(trial, namesakes[0])
        if reason or len(namesakes) > 1:
            gone.append((trial, reason or "several trials of that name"))
        else:
            other = namesakes.pop()
            taken.add(id(other))
            found.append(Match(trial, other, tuple(_differences(trial, other))))
    if not found:
        raise BadInput(f"{base.folder} and {head.folder} have no trial in common. {_some(base)} {_some(head)}")
    new = tuple((trial, "the base has no trial of it") for trial in free if id(trial) not in taken)
    return Matches(tuple(found), tuple(gone), new)


def _some(side: Results) -> str:
    names = [f"{trial.study} {trial.label}" for trial in side.trials[:3]]
    return f"{side.folder.name}: {', '.join(names)}{', ...' if len(side.trials) > 3 else ''}."


def _unlike(base: Rounds, head: Rounds) -> str:
    """Why two trials of one label are not the same; empty where they are."""
    one, other = base.record, head.record
    if one.pipeline != other.pipeline:
        return f"its namesake is of {other.pipeline}"
    mine, theirs = one.settings, other.settings
    differing = (name for name in mine if name in theirs and mine[name] != theirs[name])
    changed = [f"{name} {mine[name]} → {theirs[name]}" for name in differing]
    if changed:
        return f"its namesake has other settings ({', '.join(changed)})"
    return "" if one.inputs["items"] == other.inputs["items"] else "its namesake has other inputs"


def _differences(base: Rounds, head: Rounds) -> Iterator[str]:
    """What differs between two trials that count as the same."""
    one, other = base.record, head.record
    if names := sorted(set(one.settings) ^ set(other.settings)):
        yield f"settings of one side only: {', '.join(names)}"
    if {**one.model, "path": ""} != {**other.model, "path": ""}:
        yield "other weights"
    mine, theirs = one.protocol, other.protocol
    if keys := sorted(key for key in {*mine, *theirs} if mine.get(key) != theirs.get(key)):
        yield f"another protocol: {', '.join(keys)}"
