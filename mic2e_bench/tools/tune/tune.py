"""A search from its params file to the front, told to people and stored for programs."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mic2e_bench import files, units
from mic2e_bench.errors import BadInput
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.settings import show
from mic2e_bench.records import folder as records_folder
from mic2e_bench.report import frame, made_from
from mic2e_bench.report.tabular import Table
from mic2e_bench.tools import pin
from mic2e_bench.tools.recommend import pareto
from mic2e_bench.tools.recommend import text as recommend_text
from mic2e_bench.tools.recommend.point import FIELDS, LATENCY, MEMORY, QUALITY
from mic2e_bench.tools.tune.budget import Allowance
from mic2e_bench.tools.tune.space import Space
from mic2e_bench.units import NONE

SHOWN = 3  # reasons of failed trials that the text gives
PATIENCE = 48  # trials without a movement of the front after which a search ends


def tune(
    study: Study,
    space: Space,
    results: Path,
    budget: Allowance,
    asked: Mapping[str, float] | None = None,
    *,
    patience: int = PATIENCE,
    finalists: int = 8,
    races: bool = True,
    sampler: str = "nsga2",
    lpips_weights: Path | None = None,
) -> tuple[str, bool]:
    """Search the space for its front, or go on with a search that was stopped; returns the text, and whether any fits.

    ``asked`` are limits (``latency`` s, ``memory`` B, ``quality`` %). Writes ``results/<study>/tune/front.json`` and
    ``front.md`` beside the search's journal. Raises ``BadInput``, without Optuna as well.
    """
    require_optuna()
    from mic2e_bench.tools.tune import journal, looking
    from mic2e_bench.tools.tune.finalists import finish
    from mic2e_bench.tools.tune.search import Search

    results, asked, study = Path(results), dict(asked or {}), pin.pinned(study)
    studies = looking.ladder(study) if races else (study,)
    folder = results / study.name / "tune"
    with records_folder.locked(folder):
        bench = looking.Looking(studies, space, results, asked, lpips_weights)
        if lacking := [name for name in asked if name not in bench.names]:
            raise BadInput(f"{study.name}: no {lacking[0]} is scored, so it cannot be limited: add metrics: [lpips].")
        trials = journal.opened(folder, bench, [one.baseline for one in studies], sampler)
        search = Search(bench, trials, budget, patience, finalists, final_looks=1.0, races=races)
        outcome = finish(search, bench.ladder[-1], search.run())
        table = _table(outcome)
        content = _content(study, space, search, outcome)
        files.write_whole(folder / "front.json", files.as_json(content))
        files.write_whole(folder / "front.md", table.markdown().encode())
        behind = {f"{study.name}/{p.id}.json": p.record.digest for p in (outcome.baseline, *outcome.finalists)}
        made_from.note(results, [folder / "front.json", folder / "front.md"], behind, "mic2e-bench tune")
    return _text(content, table, folder), bool(outcome.front)


def require_optuna() -> None:
    """Raises ``BadInput`` where the extra ``tune`` is not installed, or Optuna is too old to know constraints."""
    with contextlib.suppress(ModuleNotFoundError):
        import optuna
        import sklearn  # noqa: F401

        if hasattr(optuna.Trial, "set_constraint"):
            return
    raise BadInput("tune needs Optuna 5 and scikit-learn, not both of which are here: pip install 'mic2e-bench[tune]'.")


def plan(study: Study, space: Space) -> str:
    """What would be searched, without measuring."""
    from mic2e_bench.tools.tune import looking, measuring

    full = measuring.Measuring(study, space, Path())
    count = f"{len(space.points)} points" if space.is_whole else f"at most {space.size} points"
    builds = len({full.trial(point).build_key for point in space.points[:2000]})
    lines = [f"{study.name}: {study.pipeline.name}, {count} that can be measured, in {builds} builds"]
    lines += [f"  {axis.name}: {', '.join(map(show, axis.values))}{_condition(axis.when)}" for axis in space.axes]
    lines += [f"  left out: {count} points: {reason}" for reason, count in space.refused.most_common()]
    for number, one in enumerate(looking.ladder(study), 1):
        inputs, protocol = len(one.baseline.inputs["items"]), one.baseline.protocol
        said = f"inputs {inputs}, seeds {len(protocol['seeds'])}, repeats {show(protocol['repeats'])}"
        lines.append(f"  protocol {number}: {said}; records in {one.name}")
    return "\n".join(lines)


def _condition(when: Mapping[str, tuple]) -> str:
    said = " and ".join(f"{name} is {' or '.join(map(show, values))}" for name, values in when.items())
    return f" (when {said})" if said else ""


def _table(outcome: Any) -> Table:
    """The finalists by latency, below the baseline."""
    columns = outcome.columns
    places = {pareto.FRONT: "front", pareto.TIE: "tie with the front", pareto.BEATEN: "beaten, measured again"}
    header = ["setting", "latency", "in the search", recommend_text.MEMORY_NAMES[columns.memory]]
    header += [f"quality ({columns.metric})", "its noise"] if columns.metric else []
    rows, marks = [], []
    for point in (outcome.baseline, *outcome.finalists):
        is_baseline = point is outcome.baseline
        differing = {n: v for n, v in outcome.settings.get(point.id, {}).items() if v != outcome.baseline.row[n]}
        name = ", ".join(f"{n} {show(v)}" for n, v in differing.items()) or "the baseline"
        before = outcome.before_s.get(point.id)
        cells = [
            name,
            f"{point.written(LATENCY)}{recommend_text.mark(point, LATENCY)}",
            NONE if before is None else units.write(before, "s"),
        ]
        cells += [point.written(MEMORY)]
        cells += [point.written(QUALITY), f"± {units.write(point.noise[QUALITY], '%')}"] if columns.metric else []
        place = "reference" if is_baseline else places[outcome.standing[point.id]]
        misses = point.beyond(outcome.limits)
        rows.append([*cells, place + (f"; beyond the limit of {', '.join(misses)}" if misses else "")])
        marks.append("baseline" if is_baseline else "")
    stand_ins = outcome.baseline.row["stand_in"] or outcome.baseline.row["model"]
    caption = (
        f"{stand_ins}. Settings that are not named are the baseline's. Each finalist was measured again in a process "
        "of its own; 'in the search': what its looks and their forecast said before. "
        "Latency: the median of a call; †: disturbed while it was measured. Its noise: what a change that nobody made "
        "does to the quality."
    )
    return Table([*header, "place"], rows, caption, marks, left=(0, len(header)))


def _content(study: Study, space: Space, search: Any, outcome: Any) -> dict[str, Any]:
    """The same for programs; seconds, bytes and percent."""
    from mic2e_bench.tools.tune.sampler import point_of

    def one(point: Any) -> dict[str, Any]:
        found = {"id": point.id, "label": point.label, "settings": outcome.settings.get(point.id, {})}
        found |= {key: point.values[name] for name, key in FIELDS.items()}
        found |= {f"{key}_noise": point.noise[name] for name, key in FIELDS.items()}
        place = outcome.standing.get(point.id, "baseline")
        return {**found, "latency_before_s": outcome.before_s.get(point.id), "place": place}

    return {
        "study": study.name,
        "pipeline": study.pipeline.name,
        "stand_ins": frame.stand_ins(study.baseline.model, [outcome.baseline.row["backbone"]]),
        "points_of_the_space": len(space.points) if space.is_whole else None,
        "tried": search.tried,
        "failed": [
            {"settings": space.settings(point_of(space, one.params)), "reason": one.user_attrs["failed"]}
            for one in search.failed
        ],
        "dropped": search.dropped[1],
        "ended": outcome.why,
        "seconds": search.spending.spent_s,
        "limits": dict(search.bench.limits),
        "memory": outcome.columns.memory,
        "quality": outcome.columns.metric or None,
        "optuna_study": search.study.study_name,
        "baseline": one(outcome.baseline),
        "front": [one(point) for point in outcome.front],
        "finalists": [one(point) for point in outcome.finalists],
    }


def _text(content: Mapping[str, Any], table: Table, folder: Path) -> str:
    of = content["points_of_the_space"]
    lines = [
        f"{content['study']}: {content['tried']}{f' of {of}' if of else ''} points tried in "
        f"{content['seconds']:.0f} s; {content['ended']}.",
        table.text(),
    ]
    if not content["front"]:
        lines.append("Nothing that was tried fits the limits; above is what comes nearest to the front.")
    reasons = Counter(one["reason"] for one in content["failed"]).most_common()
    lines += [f"failed ({count}): {reason}" for reason, count in reasons[:SHOWN]]
    lines += [f"  and {len(reasons) - SHOWN} more reasons in front.json"] if len(reasons) > SHOWN else []
    lines.append(f"Stored: {folder / 'front.json'}, front.md; records in {folder.parent}; trials in journal.log.")
    return "\n".join(lines)
