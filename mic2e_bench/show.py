"""What the commands print: plans, tables, summaries. Text only, no measuring, no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mic2e_bench import presets as preset_file
from mic2e_bench import protocol, record, registry, visible
from mic2e_bench.budget import Budget, UsedUp
from mic2e_bench.models import sources
from mic2e_bench.params import Study
from mic2e_bench.runner import Summary
from mic2e_bench.settings import missing
from mic2e_bench.trial import Trial

LAST_WORDS_S = 0.5  # of a budget: for the closing lines


def table(rows: Iterable[Sequence[Any]], header: Sequence[str]) -> str:
    """Columns of text, left-aligned."""
    cells = [list(map(str, header)), *(list(map(str, row)) for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def plan(studies: Sequence[Study], results: Path) -> str:
    """Every trial of the studies with its identity and what is known of it already."""
    parts = []
    for study in studies:
        rows = []
        for trial in study.trials:
            rows.append((trial.id, trial.label, _state(study, trial, results)))
        builds = len({trial.build_key for trial in study.trials})
        inputs = len(study.baseline.inputs["items"])
        parts.append(
            f"{study.name}: {study.pipeline.name}, {sources.label(study.baseline.model)}, "
            f"{len(study.trials)} trials in {builds} builds, {inputs} inputs\n"
            + table(rows, ("trial", "label", "state"))
        )
    return "\n\n".join([*parts, *filter(None, [visible.hidden()])])


def _state(study: Study, trial: Trial, results: Path) -> str:
    """What will become of a trial, or what has."""
    if trial.id in study.refused:
        return f"refused: {study.refused[trial.id]}"
    if old := record.read_if_there(record.path_of(results, study.name, trial.id)):
        return old.status
    lacking = missing(trial.settings)
    return f"unavailable here: {lacking}" if lacking else "to measure"


def prepare() -> None:
    """Import what ``results`` needs: some seconds, which a budget shall not find at its end."""
    from mic2e_bench.report import feasibility, findings, tables  # noqa: F401


def results(studies: Sequence[Study], folder: Path, mixed: bool, budget: Budget | None = None) -> str:
    """The main figures of every trial of the studies; where a budget ends before they are there, that they are not."""
    if budget:
        try:
            with budget.alarm(budget.start + budget.seconds - LAST_WORDS_S):
                return results(studies, folder, mixed)
        except UsedUp:
            return "no time is left for the tables: mic2e-bench report writes them"
    from mic2e_bench.report import feasibility, findings, tables

    parts = []
    for study in studies:
        parts += [tables.text(study, folder, mixed), feasibility.text(findings.read(study, folder, mixed))]
    return "\n\n".join(part for part in parts if part)


def summary(done: Summary) -> str:
    """What the run did, what failed, and how its wall time compares with the pipeline calls' own."""
    if not done.records and done.left:
        return done.left
    counts = Counter(found.status for found in done.records.values())
    lines = [f"{len(done.records)} trials: " + ", ".join(f"{count} {status}" for status, count in counts.most_common())]
    lines += [f"  {r.status}: {r.study} {r.label}: {r.reason}" for r in done.failed.values()]
    if done.measured:
        own = done.calls_s + done.import_s
        lines.append(
            f"{done.measured} measured now in {done.wall_s:.1f} s of wall time: {done.wall_s / own:.2f} times the "
            f"{done.calls_s:.1f} s of pipeline calls + {done.import_s:.1f} s of one import of the libraries"
        )
    return "\n".join([*lines, *([done.left] if done.left else [])])


def pipelines() -> str:
    """Pipelines with their tasks, hub ids and inputs."""
    rows = [(p.name, p.task, p.hub, ", ".join(p.needs), p.about) for p in registry.pipelines().values()]
    return table(rows, ("pipeline", "task", "weights", "inputs", "what it does"))


def toggles(results: Path) -> str:
    """Toggles with their values, the pipelines that have them, an explanation, and the cost in quality.

    The cost is as declared and, where records under ``results`` changed the setting alone, as measured.
    """
    from mic2e_bench import frame
    from mic2e_bench.report import costs

    table, _ = frame.load(results, mixed=True)
    seen, stand_ins = costs.measured(table), sorted({text for text in table["stand_in"] if text} if len(table) else ())
    parts = [f"Measured costs are of: {'; '.join(stand_ins)}"] if seen and stand_ins else []
    for toggle in registry.toggles().values():
        fitting = [p.name for p in registry.pipelines().values() if toggle.fits(p)]
        about = "\n  ".join(toggle.about.splitlines())
        cost = f"{toggle.cost} (measured: {seen[toggle.name]})" if toggle.name in seen else toggle.cost
        parts.append(
            f"{toggle.name}: {toggle.values}\n  phase {toggle.phase.name}; cost in quality: {cost}; "
            f"{', '.join(fitting)}\n  {about}\n  source: {toggle.source}"
        )
    for name, key in protocol.VARIED.items():
        about = "\n  ".join(key.about.splitlines())
        parts.append(f"{name}: {' | '.join(key.values)}\n  of the protocol, varied like a setting\n  {about}")
    return "\n\n".join(parts)


def metrics() -> str:
    """Metrics with their units and directions."""
    rows = [(m.name, m.unit, f"{m.better} is better", m.about) for m in registry.metrics().values()]
    return table(rows, ("metric", "unit", "direction", "what it is"))


def presets() -> str:
    """Presets with the settings that they give each pipeline."""
    parts = []
    for name, preset in preset_file.load().items():
        lines = [f"{name}: {preset.get('about', '')}".rstrip(": ")]
        for pipeline in registry.pipelines().values():
            if preset_file.covers(name, pipeline):
                settings = preset_file.settings_of(name, pipeline, name)
                lines.append(f"  {pipeline.name}: " + ", ".join(f"{key} {value}" for key, value in settings.items()))
        parts.append("\n".join(lines))
    return "\n".join(parts)
