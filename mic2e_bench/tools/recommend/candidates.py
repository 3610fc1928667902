"""The records that one choice is made among: comparable with each other, and what was left out, with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mic2e_bench.errors import BadInput, unknown
from mic2e_bench.paths import of_study
from mic2e_bench.plan import params
from mic2e_bench.records import comparable, record
from mic2e_bench.records.record import Record
from mic2e_bench.report import frame
from mic2e_bench.tools.recommend import again

# against the baseline, on a scale from 0 to 100 % or 0 to 1; the first of which there is a value counts
QUALITY = ("quality", "iou", "ssim")


@dataclass(frozen=True)
class Candidates:
    """Rows of ``frame.row`` that may be compared with each other, in the order of their ids.

    ``left_out`` holds ``(study, label, reason)``; ``metric`` is the column of quality, ``""`` where none was scored;
    ``memory`` is the column of the peak memory of a call.
    """

    rows: tuple[Mapping[str, Any], ...]
    left_out: tuple[tuple[str, str, str], ...]
    metric: str
    memory: str
    machine: str
    disturbed: int = 0  # how many of the rows were disturbed while they were measured
    records: Mapping[str, Record] = field(default_factory=dict)  # those of the rows, by id
    asked: tuple[str, ...] = ()  # the settings that the baselines of their params files name, where these are there
    again: str = ""  # the command that measures again what was disturbed, left out or not

    @property
    def stand_ins(self) -> str:
        """Every stand-in behind the rows; empty where all is the real thing."""
        texts = (part for row in self.rows for part in row["stand_in"].split("; ") if part)
        return "; ".join(dict.fromkeys(texts))

    @property
    def baseline(self) -> Mapping[str, Any] | None:
        """The baseline's row, where it is among them."""
        return next((row for row in self.rows if row["baseline"]), None)


def read(studies: Sequence[str], results: Path, metric: str | None = None, with_disturbed: bool = False) -> Candidates:
    """The candidates among the records of studies: names under ``results`` or params files, of one pipeline.

    Out go records that are not ``ok``, those that were disturbed (unless ``with_disturbed``, or all were), and those
    that cannot be compared with the most (another environment, model, inputs or reference of quality). ``metric``
    chooses the column of quality. Raises ``BadInput`` for an unknown study, one without a record, and one in which
    nothing can be compared.
    """
    records, damaged = {}, []
    for given in studies:
        found, problems = _records(given, Path(results))
        records |= {one.id: (one, path) for one, path in found}
        damaged += problems
    return among([*records.values()], studies, results, metric, with_disturbed, damaged)


def among(
    records: Sequence[tuple[Record, Path]], studies: Sequence[str], results: Path, metric: str | None = None,
    with_disturbed: bool = False, damaged: Sequence[tuple[str, str]] = (),
) -> Candidates:  # fmt: skip
    """The same among records that were read already, each with its path; ``damaged`` are files with what is wrong."""
    left_out = [("", name, reason) for name, reason in damaged]
    able = []
    for one, path in records:
        if reason := comparable.unusable(one):
            left_out.append((one.study, one.label, reason))
        else:
            able.append((one, path))
    if not able:
        reasons = Counter(reason for *_, reason in left_out)
        why = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(3))
        raise BadInput(f"{', '.join(studies)}: nothing to choose from: {why}. Measure: mic2e-bench run.")
    noisy = [one for one, _ in able if comparable.disturbed(one)]
    quiet = [(one, path) for one, path in able if not comparable.disturbed(one)]
    if quiet and not with_disturbed:
        left_out += [(one.study, one.label, f"disturbed: {'; '.join(comparable.disturbed(one))}") for one in noisy]
        able = quiet
    kept, others = _comparable(able)
    left_out += others
    rows = tuple(frame.row(one, str(path)) for one, path in sorted(kept, key=lambda pair: pair[0].id))
    here = kept[0][0].environment
    machine = " · ".join(str(here[name]) for name in ("host", "device") if here.get(name))
    memory = comparable.memory_column(row[comparable.VRAM] for row in rows)
    plans = [
        again.plan_of(one.study, [one.id], studies)[1] for one, _ in {one.study: (one, 0) for one, _ in kept}.values()
    ]
    given = [plan.params.get("baseline") for plan in plans if plan]
    return Candidates(
        rows, tuple(left_out), _metric(rows, metric), memory, machine,
        sum(bool(comparable.disturbed(one)) for one, _ in kept), {one.id: one for one, _ in kept},
        tuple(name for each in given if isinstance(each, Mapping) for name in each),
        again.command(noisy, studies, Path(results)) if noisy else "",
    )  # fmt: skip


def _records(given: str, results: Path) -> tuple[list[tuple[Record, Path]], list[tuple[str, str]]]:
    """The records of one study with their paths, and the damaged files with what is wrong."""
    if given.endswith((".yaml", ".yml")):
        trials = [trial for study in params.read_all(given) for trial in study.trials]
        paths = [record.path_of(results, trial.study, trial.id) for trial in trials]
        paths = [path for path in paths if path.exists()]
    else:
        if not of_study(results, given).is_dir():
            known = [folder.name for folder in frame.folders(results) if record.paths(folder)]
            raise unknown("study", given, known, str(results))
        paths = record.paths(results / given)
    found, damaged = [], []
    for path in paths:
        try:
            found.append((record.read(path), path))
        except record.Damaged as error:
            damaged.append((path.name, f"damaged: {error}"))
    if not found and not damaged:
        raise BadInput(f"{given}: no records in {results}. Measure the study first: mic2e-bench run.")
    return found, damaged


def _comparable(able: Sequence[tuple[Record, Path]]) -> tuple[list[tuple[Record, Path]], list[tuple[str, str, str]]]:
    """The largest group of records that may be compared, and the others with what is different about them."""
    pipelines = dict.fromkeys(one.pipeline for one, _ in able)
    if len(pipelines) > 1:
        raise BadInput(f"these studies are of several pipelines ({', '.join(pipelines)}): choose for one at a time.")
    kept, out = list(able), []
    for what, read in _SAME:
        counts = Counter(read(one) for one, _ in kept)
        del counts[""]  # not known, so not another
        usual = ("", *(name for name, _ in counts.most_common(1)))
        out += [(one.study, one.label, f"another {what}") for one, _ in kept if read(one) not in usual]
        kept = [(one, path) for one, path in kept if read(one) in usual]
    return kept, out


_SAME = (
    ("environment (machine, driver or versions)", lambda one: str(comparable.place(one))),
    ("model", lambda one: str(sorted(one.model.items()))),
    ("set of inputs", lambda one: str(sorted(one.inputs["items"].items()))),
    ("baseline, so its quality is on another scale", lambda one: next(iter(comparable.references(one)), "")),
)


def _metric(rows: Sequence[Mapping[str, Any]], asked: str | None) -> str:
    """The column of quality. Raises ``BadInput`` for one that no row has or whose scale is not a share."""
    scored = sorted({name.removesuffix("_floor") for row in rows for name in row if name.endswith("_floor")})
    usable = [name for name in scored if name.partition(".")[0] in QUALITY]
    if asked is not None and asked not in usable:
        raise unknown("metric of quality in %", asked, usable, "--metric")
    has_value = [name for name in (asked or "", *QUALITY) if any(row.get(name) is not None for row in rows)]
    return next(iter(has_value), "")
