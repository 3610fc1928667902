"""Named settings from ``params/presets.yaml``, with inheritance by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mic2e_bench import files
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.documents import named
from mic2e_bench.errors import BadInput, unknown
from mic2e_bench.paths import find, root
from mic2e_bench.plan.settings import check


def path() -> Path:
    """The presets file of the workbench: ``params/presets.yaml`` under its root folder."""
    return root() / "params" / "presets.yaml"


def load() -> dict[str, dict[str, Any]]:
    """All presets as written: ``{name: {"about", "inherits", pipeline: settings}}``. Raises ``BadInput``."""
    presets = files.read_yaml(path(), advice="Run from the workbench's folder.") or {}
    if not isinstance(presets, dict) or not all(isinstance(preset, dict) for preset in presets.values()):
        raise BadInput(f"{path()}: write NAME: {{pipeline: {{setting: value}}}}.")
    return presets


def settings_of(
    name: Any, pipeline: Pipeline, where: str, known: Mapping[str, Mapping] | None = None
) -> dict[str, Any]:
    """The checked settings that a preset gives a pipeline, those it inherits included. Raises ``BadInput``.

    ``known`` are the presets there are (default: those of the presets file).
    """
    presets = load() if known is None else known
    merged: dict[str, Any] = {}
    for ancestor in reversed(_line(name, presets, where)):
        for key in sorted(set(presets[ancestor]) - {"about", "inherits", *registry.pipelines()}):
            raise unknown("key", key, ("about", "inherits", *registry.pipelines()), f"{path()}: {ancestor}")
        given = presets[ancestor].get(pipeline.name) or {}
        if not isinstance(given, Mapping):
            raise BadInput(f"{path()}: {ancestor}.{pipeline.name}: write setting: value; given: {given!r}.")
        merged.update(given)
    if not merged:
        mine = ", ".join(sorted(other for other in presets if _says(other, pipeline, presets))) or "none"
        raise BadInput(f"{where}: preset '{name}' says nothing of {pipeline.name}. Those that do: {mine}.")
    return {key: check(key, value, pipeline, f"{path()}: {name}.{pipeline.name}") for key, value in merged.items()}


def covers(name: str, pipeline: Pipeline) -> bool:
    """Whether a preset, or one that it inherits from, says anything of a pipeline."""
    return _says(name, pipeline, load())


def _says(name: str, pipeline: Pipeline, presets: Mapping[str, Mapping]) -> bool:
    return any(presets[ancestor].get(pipeline.name) for ancestor in _line(name, presets, str(path())))


def read(preset: str | Path | Mapping[str, Any], pipeline: Pipeline, where: str) -> dict[str, Any]:
    """The checked settings that a preset gives a pipeline: a name, a mapping of settings, or a file of one of the two.

    A file holds settings, or one preset as in the presets file, whose presets it may inherit from. Raises ``BadInput``.
    """
    if isinstance(preset, Mapping):
        return {name: check(name, value, pipeline, where) for name, value in preset.items()}
    if isinstance(preset, str) and not preset.endswith((".yaml", ".yml", ".json")):
        return settings_of(preset, pipeline, where)
    content, form = files.read_yaml(find(str(preset)), where), "write NAME: {pipeline: {setting: value}}"
    if not isinstance(content, dict) or not content:
        raise BadInput(f"{where}: {find(str(preset))}: {form}, or setting: value.")
    if not any(isinstance(value, Mapping) for value in content.values()):
        return read(content, pipeline, f"{where}: {preset}")
    if len(content) != 1:
        raise BadInput(f"{where}: {preset} holds {', '.join(map(str, content))}: keep one preset in a file of its own.")
    ((name, entry),) = content.items()
    if not isinstance(entry, Mapping):
        raise BadInput(f"{where}: {preset}: {form}, or setting: value.")
    return settings_of(str(name), pipeline, f"{where}: {preset}", {**load(), str(name): entry})


def _line(name: Any, presets: Mapping[str, Mapping], where: str) -> list[str]:
    """A preset and those it inherits from, itself first."""
    line: list[str] = []
    while name is not None:
        if named(name, where) not in presets:
            raise unknown("preset", name, presets, where)
        if name in line:
            raise BadInput(f"{path()}: {' → '.join([*line, name])}: a preset cannot inherit from itself.")
        line.append(name)
        name = presets[name].get("inherits")
    return line
