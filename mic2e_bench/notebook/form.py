"""What stands in the fields of the widgets, as the content of a params file and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mic2e_bench import files, units
from mic2e_bench.catalog import registry
from mic2e_bench.errors import BadInput
from mic2e_bench.plan import presets
from mic2e_bench.plan.params import CHOICES

OWN = "(no preset)"
AS_GIVEN = "(as in the parameters)"  # an axis that the fields cannot show: several settings, presets, an ablation


@dataclass(frozen=True)
class Fields:
    """Texts and numbers as they stand in the fields. ``limit`` and ``repeats`` are 0 where the parameters decide."""

    pipeline: str
    preset: str
    settings: str
    axis: str
    values: str
    limit: int
    repeats: int


def of(params: Mapping[str, Any]) -> Fields:
    """The fields that show these parameters."""
    baseline, vary = params.get("baseline") or {}, params.get("vary") or {}
    preset = baseline if isinstance(baseline, str) else OWN
    settings = {} if isinstance(baseline, str) else baseline
    words = " ".join(f"{key}={written(value)}" for key, value in settings.items())
    axis, values = next(iter(vary.items()), (AS_GIVEN, []))
    if len(vary) > 1 or any(params.get(key) for key in CHOICES if key != "vary"):
        axis, values = AS_GIVEN, []
    source = params.get("inputs")
    limit = source.get("limit") or 0 if isinstance(source, Mapping) else 0
    repeats = (params.get("protocol") or {}).get("repeats", 0)
    shown = ", ".join(map(written, values))
    return Fields(params["pipeline"], preset, words, axis, shown, limit, repeats if isinstance(repeats, int) else 0)


def params_of(fields: Fields, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that the fields say; what they have no place for comes from ``given``. Raises ``BadInput``."""
    pipeline = registry.pipeline(fields.pipeline)
    kept = {key: value for key, value in given.items() if key not in ("study", "baseline", "vary", "pipeline")}
    if fields.pipeline != given.get("pipeline"):
        kept = {key: value for key, value in kept.items() if key not in ("model", "metrics")}
    made = {**kept, "pipeline": fields.pipeline}
    settings = dict(units.assignment(text, "settings", "steps=20") for text in fields.settings.split())
    if fields.preset == OWN:
        made["baseline"] = settings
    else:
        made["baseline"] = fields.preset
        if settings:
            made["baseline"] = {**presets.settings_of(fields.preset, pipeline, "preset"), **settings}
    if fields.axis == AS_GIVEN:
        made |= {"vary": given["vary"]} if given.get("vary") else {}
    else:
        made = {key: value for key, value in made.items() if key not in CHOICES}
        made["vary"] = {fields.axis: _values(fields)}
    if fields.limit:
        source = made.get("inputs", "bundled")
        made["inputs"] = {**(source if isinstance(source, Mapping) else {"source": source}), "limit": fields.limit}
    if fields.repeats:
        made["protocol"] = {**(made.get("protocol") or {}), "repeats": fields.repeats}
    return made


def _values(fields: Fields) -> list[Any]:
    found = files.yaml_value(f"[{fields.values}]", f"values of {fields.axis}", fields.axis)
    if not found:
        raise BadInput(f"values of {fields.axis}: write at least one, with commas between them, such as 4, 8, 12.")
    return found


def written(value: Any) -> str:
    """A value as YAML writes it in a line."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(written, value))}]" if isinstance(value, (list, tuple)) else str(value)


def presets_of(name: str) -> list[str]:
    """The presets that say something of a pipeline."""
    pipeline = registry.pipeline(name)
    return [OWN, *(one for one in presets.load() if presets.covers(one, pipeline))]


def axes_of(name: str) -> list[str]:
    """The settings that a pipeline has, the usual ones first."""
    known = list(registry.toggles_of(registry.pipeline(name)))
    first = [one for one in ("steps", "resolution", "precision", "guidance") if one in known]
    return first + [one for one in known if one not in first]


def limits_of(latency: str, memory: str, quality: str) -> dict[str, str]:
    """The limits that are given, as ``recommend`` takes them. Raises ``BadInput`` for one that is none."""
    checks = {"max_latency": units.seconds, "max_memory": units.size, "min_quality": units.percent}
    given = dict(zip(checks, (latency.strip(), memory.strip(), quality.strip()), strict=True))
    for name, text in given.items():
        if text:
            checks[name](text, name.replace("_", " "))
    return {name: text for name, text in given.items() if text}
