"""Quality of measured records, from their stored images, in a process of its own; nothing is scored twice."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from mic2e_bench import pictures
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.metrics import perceptual
from mic2e_bench.catalog.models import sources
from mic2e_bench.catalog.picture_files import MASKS
from mic2e_bench.errors import BadInput, UsedUp
from mic2e_bench.plan.trial import fingerprint
from mic2e_bench.records import folder as records_folder
from mic2e_bench.records import record
from mic2e_bench.records.comparable import in_float32, is_measured
from mic2e_bench.run.scoring import child, pairs

if TYPE_CHECKING:
    from mic2e_bench.plan.params import Study
    from mic2e_bench.tools.budget.budget import Budget

VERSION = 4  # of the scores: raised when the same images would give other numbers
BATCH = 16  # records that are scored together, input by input: a reference is then read and looked at once for all
MOST_COMPUTED = 10_000  # values that are kept for the next scoring; some 3 MB
computed_before: dict[bytes, Mapping[str, float]] = {}  # above all of the baseline's noise, which every record needs


@dataclass(frozen=True)
class ScoringJob:
    """One record to score. ``stamps`` maps each metric that is out of date to what its new scores are made of."""

    study: str
    id: str
    label: str
    sides: tuple[pairs.PicturePairs, ...]
    stamps: Mapping[str, str]


def studies(
    studies: Iterable[Study], results: Path, weights: Path | None = None, budget: Budget | None = None
) -> list[str]:
    """Write ``quality`` into every measured record of the studies; returns (and prints) what could not be scored.

    Each record is compared with its study's baseline on the same input and seed, and with the inputs' known answers.
    ``weights`` is a file of ImageNet weights for LPIPS (default: torch's hub cache). Raises ``BadInput`` for such a
    file that cannot be used and for results that cannot be written. What a ``budget`` has no time for is counted in it
    and left for the next run.
    """
    perceptual.choose(weights)
    problems: list[str] = []
    jobs = [job for study in studies for job in _jobs(study, Path(results), problems)]
    if jobs:
        problems += _score(jobs, Path(results), weights, budget)
    for problem in problems:
        print(f"not scored: {problem}", file=sys.stderr)
    return problems


def _jobs(study: Study, results: Path, problems: list[str]) -> list[ScoringJob]:
    """The records of a study whose scores are missing or out of date."""
    found = (record.read_if_there(record.path_of(results, study.name, trial.id)) for trial in study.trials)
    measured = {one.id: one for one in found if one and is_measured(one)}
    baseline = measured.get(study.baseline.id)
    if measured and not baseline:
        problems.append(f"{study.name}: the baseline was not measured, so there is nothing to compare with")
    try:
        answers = pairs.known(study.baseline.inputs)
        seen = {
            name: {field: pictures.digest(path, field in MASKS) for field, path in files.items()}
            for name, files in answers.items()
        }
    except (OSError, BadInput) as error:
        problems.append(f"{study.name}: its inputs cannot be read ({error})")
        return []
    noise = sources.pictures_may_lack(study.baseline.model)
    exact = exact_of(study, measured)
    compared = pairs.StoredStudy(baseline, study.pipeline.task, results / study.name, answers, noise, exact)
    names = dict.fromkeys((*study.metrics, *(["quality"] if {"lpips", "flip"} & {*study.metrics} else [])))
    jobs = []
    for one in measured.values():
        others = [[each.id, each.images] if each else None for each in (baseline, exact)]
        given = [VERSION, study.pipeline.task, others, one.images, seen]
        stamps = {name: _stamp(name, given) for name in names}
        old = {name: {entry.get("stamp") for key, entry in one.quality.items() if root(key) == name} for name in stamps}
        stale = {name: stamp for name, stamp in stamps.items() if old[name] != {stamp}}
        if stale:
            jobs.append(ScoringJob(study.name, one.id, one.label, tuple(pairs.sides(one, compared)), stale))
    return jobs


def exact_of(study: Study, measured: Mapping[str, record.Record]) -> record.Record | None:
    """The record of the trial that has the baseline's settings in float32; ``None`` where it is the baseline itself."""
    wanted = in_float32(study.baseline.settings)
    return next((measured[one.id] for one in study.trials if one.settings == wanted and one.id in measured), None)


def root(key: str) -> str:
    """The metric that an entry of ``quality`` comes from: ``lpips`` of ``lpips.truth.inside``."""
    return key.partition(".")[0]


def _stamp(metric: str, given: list[Any]) -> str:
    backbone = registry.metrics()[metric].backbone
    return fingerprint([metric, backbone and backbone(), *given])


def _score(jobs: list[ScoringJob], results: Path, weights: Path | None, budget: Budget | None) -> list[str]:
    """Run the child, write what it finds; returns the problems."""
    waiting = {(job.study, job.id): job for job in jobs}
    problems: list[str] = []
    log = results / jobs[0].study / "logs" / "score.log"
    # None: no bar where there is no terminal
    bar = tqdm(total=len(jobs), desc="scoring", unit="record", leave=False, disable=None)
    try:
        work = functools.partial(scores, computed_before)
        for name, id, quality, computed in child.answers(work, log, jobs, "score", weights, budget):
            job = waiting.pop((name, id))
            if len(computed_before) > MOST_COMPUTED:
                computed_before.clear()
            computed_before.update(computed)
            _write(results, job, quality)
            bar.update()
            found = dict.fromkeys(entry["problem"] for entry in quality.values() if "problem" in entry)
            problems += [f"{job.study} {job.label}: {problem}" for problem in found]
    except UsedUp:
        budget.unscored = len(waiting)
    except child.Died as death:
        where = f"see logs/score.log of {jobs[0].study}"
        problems += [f"{job.study} {job.label}: {death}; {where}" for job in waiting.values()]
    finally:
        bar.close()
    return problems


def _write(results: Path, job: ScoringJob, quality: Mapping[str, Any]) -> None:
    """Put new scores into a record, in the place of the same metrics' old ones."""
    with records_folder.locked(results / job.study):
        one = record.read(record.path_of(results, job.study, job.id))
        kept = {key: entry for key, entry in one.raw["quality"].items() if root(key) not in job.stamps}
        record.write(results, one.with_quality({**kept, **quality}))


def scores(
    known: Mapping[bytes, Mapping[str, float]], jobs: list[ScoringJob]
) -> Iterator[tuple[str, str, dict[str, Any], dict[bytes, Mapping[str, float]]]]:
    """``(study, id, quality, values)`` of each record. For the scoring child.

    ``known`` are values of pairs of pictures that an earlier child computed (``entries.computed``), ``values`` the new.
    """
    from mic2e_bench.run.scoring import entries as quality

    quality.computed.update(known)
    told = len(quality.computed)
    for start in range(0, len(jobs), BATCH):
        batch = jobs[start : start + BATCH]
        quality.warm({name: [side for job in batch for side in job.sides if name in job.stamps]
                      for name in dict.fromkeys(name for job in batch for name in job.stamps)})  # fmt: skip
        for job in batch:
            entries: dict[str, Any] = {}
            for name, stamp in job.stamps.items():
                for side in job.sides:
                    entries.update(quality.score(registry.metrics()[name], side, stamp))
            new = dict(itertools.islice(quality.computed.items(), told, None))
            told += len(new)
            yield job.study, job.id, entries, new
