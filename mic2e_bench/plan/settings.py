"""Settings: values by toggle name, checked and completed for one pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.documents import switched
from mic2e_bench.errors import BadInput, nearest, unknown
from mic2e_bench.plan import protocol


def check(name: str, value: Any, pipeline: Pipeline, where: str) -> Any:
    """The canonical form of one setting, or of what is varied like one (``protocol.VARIED``).

    Raises ``BadInput`` naming the place, the value and what is allowed.
    """
    if name in protocol.VARIED:
        return protocol.check(name, value, where)
    known = registry.toggles_of(pipeline)
    if name not in known:
        if name in registry.toggles():
            raise BadInput(f"{where}: {pipeline.name} has no setting '{name}'. It has: {', '.join(sorted(known))}.")
        raise unknown("setting", name, {*known, *protocol.VARIED}, where)
    try:
        return known[name].parse(switched(value), pipeline)
    except ValueError as error:
        names = str(error).removeprefix("one of ").split(", ") if str(error).startswith("one of") else []
        raise BadInput(f"{where}: {name}: {value!r} is not {error}.{nearest(value, names)}") from None
    except TypeError:  # a list or a mapping where a table was asked for a name
        raise BadInput(f"{where}: {name}: {value!r} is not one of {known[name].values}.") from None


def resolve(given: Mapping[str, Any], pipeline: Pipeline, where: str) -> dict[str, Any]:
    """Every toggle of the pipeline with its value: given, the pipeline's default, or the toggle's.

    With what is varied like a setting: the ``settings`` of a trial's ``content``.
    """
    given = {name: check(name, value, pipeline, where) for name, value in given.items()}
    resolved = {}
    for name, toggle in registry.toggles_of(pipeline).items():
        default = pipeline.defaults.get(name, toggle.default)
        resolved[name] = given[name] if name in given else toggle.parse(default, pipeline)
    return resolved | {name: given.get(name, protocol.DEFAULTS[name]) for name in protocol.VARIED}


def missing(settings: Mapping[str, Any]) -> str:
    """What this machine is known to lack for resolved settings, in one line; empty where nothing. Loads nothing."""
    known = registry.toggles()
    for name in sorted(settings):
        if lacking := known[name].missing(settings[name], settings["device"]):
            return f"{name} {show(settings[name])}: {lacking}"
    return ""


def words(settings: Mapping[str, Any]) -> str:
    """Settings as a label has them: ``steps=4, resolution=512x768``."""
    return ", ".join(f"{name}={show(value)}" for name, value in settings.items())


def show(value: Any) -> str:
    """A value as people write it: sizes as 512x768, the rest as it is."""
    if isinstance(value, (list, tuple)):
        return "x".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
