"""A trial's settings on a live pipeline: load, apply phase by phase, and read back what is in force."""

from __future__ import annotations

import sys
from typing import Any

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.catalog.toggle import Phase, Seen, Toggle
from mic2e_bench.errors import Unavailable
from mic2e_bench.plan import settings
from mic2e_bench.plan.trial import Trial


def make_build(trial: Trial) -> tuple[Build, dict[str, Any]]:
    """Load the pipeline of a trial and apply everything up to the call. Returns it with what loading cost."""
    from mic2e_bench.catalog.models import load
    from mic2e_bench.machine import probes  # with torch, as the next

    if lacking := settings.missing(trial.settings):
        raise Unavailable(lacking)
    device, pipeline = trial.settings["device"], registry.pipeline(trial.pipeline)
    build, ready = Build(pipeline, device, model=trial.model, settings=trial.settings), probes.synchroniser(device)
    with probes.memory("cpu", phase="load") as peaks, probes.clock("cpu") as elapsed:
        with probes.clock("cpu") as reading:
            apply(build, trial, Phase.LOAD)
            build.pipe = load.load(build, trial.model)
        with probes.clock("cpu") as modifying:
            apply(build, trial, Phase.MODIFY)
        weights = probes.weights_bytes(build.modules())
        with probes.clock("cpu") as placing:
            apply(build, trial, Phase.PLACE)
            ready()
        with probes.clock("cpu") as compiling:
            apply(build, trial, Phase.COMPILE)
            ready()
    clocks = {"read": reading, "modify": modifying, "place": placing, "compile": compiling}
    memory = {
        "weights_bytes": weights,
        "load_peak_rss_bytes": peaks.rss_bytes,
        "rss_before_load_bytes": peaks.rss_before_bytes,
        "phases": {"load": {**peaks.phases["load"], **probes.vram_since_start()}},
    }
    libraries = sys.modules.get("mic2e_bench.run.preload")
    parts = {name: clock.seconds for name, clock in clocks.items()}
    timing = {"import_s": getattr(libraries, "IMPORT_S", None), "load_s": elapsed.seconds, "load_parts_s": parts}
    return build, {"timing": timing, "memory": memory}


def next_trial(build: Build, trial: Trial) -> None:
    """Make a build ready for the calls of one of its trials."""
    build.next_trial()
    apply(build, trial, Phase.CALL)


def apply(build: Build, trial: Trial, phase: Phase) -> None:
    """Apply the trial's toggles of one phase, in order."""
    for toggle, value in _toggles(trial):
        if toggle.phase == phase:
            toggle.apply(build, value)


def receipts(build: Build, trial: Trial) -> dict[str, dict[str, Any]]:
    """What was asked and what the live object shows, for every toggle."""
    return {toggle.name: receipt(build, toggle, asked) for toggle, asked in _toggles(trial)}


def receipt(build: Build, toggle: Toggle, asked: Any) -> dict[str, Any]:
    """What was asked of one toggle and what the live object shows."""
    return said(asked, toggle.observe(build, asked))


def said(asked: Any, seen: Seen) -> dict[str, Any]:
    """The receipt of what was asked and what was seen."""
    applied = seen.value == asked if seen.applied is None else seen.applied
    found = {"asked": asked, "seen": seen.value, "applied": applied, "how": seen.how}
    return found if applied else {**found, "reason": seen.reason or f"asked {asked}, seen {seen.value}"}


def _toggles(trial: Trial) -> list[tuple[Toggle, Any]]:
    """The trial's toggles with their values, in the order of application."""
    return [(toggle, trial.settings[name]) for name, toggle in registry.toggles().items() if name in trial.settings]
