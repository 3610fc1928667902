"""Rounds that were interrupted: what their finished builds gave waits for the next run, which goes on with the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mic2e_bench import files, seal
from mic2e_bench.machine import environment
from mic2e_bench.plan.trial import Group, Trial
from mic2e_bench.records import comparable

NAME = ".rounds"  # in the study's folder, while its rounds are not finished


def write(folder: Path, builds: int, children: Iterable[Mapping[str, Any]], trial: Trial) -> None:
    """After this many finished builds of the children: what each has so far."""
    here = environment.here(trial.settings["device"])
    content = {"here": here, "builds": builds, "children": list(children)}
    files.write_whole(folder / NAME, files.as_json(seal.sealed(content)), through_links=False)


def read(folder: Path, groups: list[Group]) -> dict[str, Any]:
    """What was written, where all of it is pending, and machine and code are as they were; else empty."""
    found, pending = seal.read(folder / NAME), {trial.id for group in groups for trial in group}
    ids = {id for child in found.get("children", ()) for id in child["parts"]}
    if not ids or not ids <= pending or found["here"]["git"] != environment.git():
        return {}
    return found if comparable.is_as_here(found["here"], groups[0][0].settings["device"]) else {}
