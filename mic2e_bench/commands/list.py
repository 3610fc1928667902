"""``mic2e-bench list``."""

from __future__ import annotations

import argparse
from pathlib import Path

from mic2e_bench import commands
from mic2e_bench.catalog import registry

ABOUT = "list pipelines, toggles, metrics or presets"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("pipelines", "toggles", "metrics", "presets"))
    commands.add_results(parser)


def execute(options: argparse.Namespace) -> int:
    made = {"pipelines": pipelines, "metrics": metrics, "presets": presets}
    if options.what in made:
        print(made[options.what]())
        return commands.OK
    # what was measured is shown beside them, if anything was: only a folder that was asked for must be there
    print(toggles(commands.results_there(options) if options.results else commands.results(options)))
    return commands.OK


def pipelines() -> str:
    """Pipelines with their tasks, hub ids and inputs."""
    from mic2e_bench.report.tabular import columns

    rows = [(p.name, p.task, p.hub, ", ".join(p.needs), p.about) for p in registry.pipelines().values()]
    return columns(rows, ("pipeline", "task", "weights", "inputs", "what it does"))


def toggles(results: Path) -> str:
    """Toggles with their values, the pipelines that have them, an explanation, and the cost in quality.

    The cost is as declared and, where records under ``results`` changed the setting alone, as measured.
    """
    from mic2e_bench.plan import protocol
    from mic2e_bench.report import frame, toggle_costs

    table, _ = frame.load(results, mixed=True)
    seen = toggle_costs.measured(table)
    stand_ins = sorted({text for text in table["stand_in"] if text} if len(table) else ())
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
    from mic2e_bench.report.tabular import columns

    rows = [(m.name, m.unit, f"{m.better} is better", m.about) for m in registry.metrics().values()]
    return columns(rows, ("metric", "unit", "direction", "what it is"))


def presets() -> str:
    """Presets with the settings that they give each pipeline."""
    from mic2e_bench.plan import presets as presets_file

    parts = []
    for name, preset in presets_file.load().items():
        lines = [f"{name}: {preset.get('about', '')}".rstrip(": ")]
        for pipeline in registry.pipelines().values():
            if presets_file.covers(name, pipeline):
                settings = presets_file.settings_of(name, pipeline, name)
                lines.append(f"  {pipeline.name}: " + ", ".join(f"{key} {value}" for key, value in settings.items()))
        parts.append("\n".join(lines))
    return "\n".join(parts)
