"""What is exported: a preset, or the settings of a measured record, found by what a person wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.errors import BadInput, nearest, unknown
from mic2e_bench.paths import of_study, there
from mic2e_bench.plan import presets
from mic2e_bench.plan.settings import resolve
from mic2e_bench.records import record
from mic2e_bench.records.record import Record
from mic2e_bench.report import frame


@dataclass(frozen=True)
class Chosen:
    """Settings by pipeline, as given (checked, not completed), with the name to write them under.

    ``record`` is the measured record that they are of, if they are.
    """

    name: str
    about: str
    settings: Mapping[str, Mapping[str, Any]]
    record: Record | None = None

    def one(self) -> tuple[Pipeline, Mapping[str, Any]]:
        """The one pipeline that it speaks of. Raises ``BadInput`` where there are several."""
        if len(self.settings) != 1:
            raise BadInput(f"{self.name} speaks of {', '.join(self.settings)}: choose one with --pipeline.")
        ((name, given),) = self.settings.items()
        return registry.pipeline(name), given


def find(wanted: str, pipeline: str | None, results: Path) -> Chosen:
    """A preset's name, a file of one, or ``STUDY/TRIAL_ID`` of a record under ``results``. Raises ``BadInput``."""
    study, slash, trial = wanted.rpartition("/")
    if slash and not wanted.endswith((".yaml", ".yml", ".json")):
        return _of_record(study, trial, pipeline, results)
    known = [registry.pipeline(pipeline, "--pipeline")] if pipeline else list(registry.pipelines().values())
    if wanted.endswith((".yaml", ".yml", ".json")):
        return _of_file(wanted, known)
    if wanted not in presets.load():
        raise unknown("preset", wanted, presets.load(), "export")
    fitting = known if pipeline else [one for one in known if presets.covers(wanted, one)]
    settings = {one.name: presets.settings_of(wanted, one, "export") for one in fitting}
    return Chosen(wanted, str(presets.load()[wanted].get("about", "")), settings)


def _of_file(path: str, known: list[Pipeline]) -> Chosen:
    """The pipelines that a file's preset has settings for; the first refusal where it has none."""
    found: dict[str, Mapping[str, Any]] = {}
    refusals: list[BadInput] = []
    for pipeline in known:
        try:
            found[pipeline.name] = presets.read(path, pipeline, "export")
        except BadInput as refusal:
            refusals.append(refusal)
    if not found:
        raise refusals[0]
    return Chosen(Path(path).stem.upper(), "", found)


def stored(study: str, trial: str, results: Path, where: str) -> Path:
    """The file of a study's record whose id begins with ``trial``. ``where`` is who asks. Raises ``BadInput``."""
    folder = of_study(there(results), study)
    if not folder.is_dir():
        known = [folder.name for folder in frame.folders(Path(results)) if record.paths(folder)]
        raise unknown("study", study, known, f"{where}: {results}")
    paths = {path.stem: path for path in record.paths(folder)}
    fitting = [name for name in paths if name.startswith(trial)] if trial else []
    if len(fitting) != 1:
        several = f" {len(fitting)} begin with it." if fitting else nearest(trial, paths)
        raise BadInput(f"{where}: {folder} has no trial '{trial}'.{several} It has: {', '.join(paths) or 'none'}.")
    return paths[fitting[0]]


def _of_record(study: str, trial: str, pipeline: str | None, results: Path) -> Chosen:
    try:
        found = record.read(stored(study, trial, results, "export"))
    except record.Damaged as damage:
        raise BadInput(f"export: {damage}") from None
    of = found.pipeline
    if pipeline not in (None, of):
        raise BadInput(f"export: {study}/{trial} is a trial of {of}, not of {pipeline}.")
    # as presets are named: capitals, digits and underscores
    name = "".join(c if c.isalnum() else "_" for c in f"{study}_{found.id[:6]}").upper()
    return Chosen(name, found.label, {of: changed(found)}, found)


def changed(found: Record) -> dict[str, Any]:
    """The settings of a record that are not what its pipeline has by itself on this machine."""
    pipeline = registry.pipeline(found.pipeline)
    plain = resolve({}, pipeline, "export")
    return {name: value for name, value in found.settings.items() if plain.get(name) != value}
