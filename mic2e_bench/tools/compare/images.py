"""Quality picture by picture, where the two sides' pictures differ: each side against its own baseline and the truth,
and the head's pictures with the base's as reference (``.base``). Scored in a child; the parent imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import sources
from mic2e_bench.errors import BadInput, Unavailable
from mic2e_bench.records.record import Record
from mic2e_bench.run.scoring import child, pairs
from mic2e_bench.tools.compare.match import Match, Results, Rounds, StoredRecord

PERFECT = {"quality": 100.0, "iou": 1.0, "lpips": 0.0}  # of a picture against itself


@dataclass(frozen=True)
class Values:
    """One metric of every picture on both sides, and each picture's input."""

    base: tuple[float, ...]
    head: tuple[float, ...]
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class ComparingJob:
    """The pairs of pictures of one match by metric: (base, head); for ``.base`` metrics the base is ``None``.

    ``problems`` names pictures that only one side has.
    """

    number: int
    sides: Mapping[str, tuple[pairs.PicturePairs | None, pairs.PicturePairs]]
    problems: tuple[str, ...] = ()


def same(one: Rounds | None, other: Rounds | None) -> bool:
    """Whether two trials have the very same pictures."""
    if one is None or other is None:
        return False
    mine, theirs = ({pairs.key(image): image["sha256"] for image in trial.record.images} for trial in (one, other))
    return mine == theirs and bool(mine)


def job(number: int, match: Match, base: Results, head: Results, metrics: Sequence[str]) -> ComparingJob:
    """What to score of a match. ``metrics`` are keys of a record's ``quality``."""
    mine, theirs = (_sides(trial, side) for trial, side in ((match.base, base), (match.head, head)))
    found: dict[str, tuple[pairs.PicturePairs | None, pairs.PicturePairs]] = {}
    for metric in metrics:
        which = "truth" if ".truth" in metric else ""
        if which in mine and which in theirs:
            found[metric] = (mine[which], theirs[which])
    across = _with(match.head.last, match.base.last)
    if across.pairs:
        is_mask = registry.pipeline(match.head.record.pipeline).task == "segmentation"
        found["iou.base" if is_mask else "quality.base"] = (None, across)
    return ComparingJob(
        number, found, tuple(f"{match.head.study} {match.head.label}: {text}" for text in across.missing)
    )


def _sides(trial: Rounds, side: Results) -> dict[str, pairs.PicturePairs]:
    """A trial's pictures beside its own baseline's (``""``) and the known answers (``truth``), where there are such."""
    baseline = side.baseline_of(trial)
    found = {"": _with(trial.last, baseline.last)} if baseline else {}
    truth = pairs.with_truth(_absolute(trial.last), _study(trial.last))
    found |= {"truth": truth} if truth.pairs else {}
    return {name: made for name, made in found.items() if made.pairs and not made.missing}


def _with(run: StoredRecord, baseline: StoredRecord) -> pairs.PicturePairs:
    return pairs.with_baseline(_absolute(run), _study(baseline))


def _study(run: StoredRecord) -> pairs.StoredStudy:
    one = run.record
    try:
        answers = pairs.known(one.inputs)
    except (OSError, BadInput):  # the inputs' folder is gone, or is no longer clear: nothing is known of them
        answers = {name: {} for name in one.inputs["items"]}
    task, noise = registry.pipeline(one.pipeline).task, sources.pictures_may_lack(one.model)
    return pairs.StoredStudy(_absolute(run), task, Path("/"), answers, noise)


def _absolute(run: StoredRecord) -> Record:
    """The record with whole paths of its pictures: the two sides lie in different folders."""

    def placed(image: Mapping[str, Any]) -> dict[str, Any]:
        made = {**image, "file": str((run.folder / image["file"]).resolve())}
        made |= {"again": placed(image["again"])} if "again" in image else {}
        return made | {"floor": {name: placed(each) for name, each in image.get("floor", {}).items()}}

    return replace(run.record, images=[placed(image) for image in run.record.images])


def score(jobs: Sequence[ComparingJob], log: Path) -> tuple[dict[int, dict[str, Values]], list[str]]:
    """Score in a child; returns the values by match and metric, and what could not be scored, a line each."""
    found: dict[int, dict[str, Values]] = {}
    problems: list[str] = []
    try:
        for number, values, said in child.answers(scores, log, list(jobs), "compare"):
            found[number] = values
            problems += said
    except child.Died as death:
        problems.append(f"pictures: {death}; see {log}")
    return found, list(dict.fromkeys(problems))


def scores(jobs: list[ComparingJob]) -> Iterator[tuple[int, dict[str, Values], list[str]]]:
    """The values and the problems of each job, by its number. For the scoring child."""
    from mic2e_bench.run.scoring import entries

    for one in jobs:
        values, problems = {}, list(one.problems)
        for metric, (base, head) in one.sides.items():
            try:
                theirs = each(metric, head)
                mine = [PERFECT[metric.partition(".")[0]]] * len(theirs) if base is None else each(metric, base)
                names = tuple(pair.input for pair in head.pairs)
                if len(mine) == len(theirs):
                    values[metric] = Values(tuple(mine), tuple(theirs), names)
            except (entries.Failed, Unavailable, ValueError, KeyError) as error:
                problems.append(f"pictures of {metric}: {error}")
        yield one.number, values, problems


def each(metric: str, side: pairs.PicturePairs) -> list[float]:
    """A metric of every pair of pictures."""
    from mic2e_bench.run.scoring import entries

    family, _, rest = metric.partition(".")
    region = rest.removeprefix("truth").removeprefix("base").strip(".")
    return [entries.values(family, pair)[region] for pair in side.pairs]
