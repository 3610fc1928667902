"""A folder of small files becomes a table of the objects they define.

There is no list to keep in step: a new file is found, a broken one raises, two objects of one name raise.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Any, TypeVar

from mic2e_bench.catalog.metric import Metric
from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.catalog.toggle import Toggle
from mic2e_bench.errors import BadInput, unknown

T = TypeVar("T")


def collect(package: str, kind: type[T]) -> Mapping[str, T]:
    """Import every module of ``package``; return its top-level objects of type ``kind`` by their ``name``.

    Raises whatever a module raises on import, and ``ValueError`` when two objects share a name.
    """
    found: dict[str, T] = {}
    for module in modules(package).values():
        for value in vars(module).values():
            if isinstance(value, kind) and found.setdefault(value.name, value) is not value:
                raise ValueError(f"{module.__name__}: a second {kind.__name__} is named '{value.name}'")
    return MappingProxyType(found)


def modules(package: str) -> Mapping[str, ModuleType]:
    """Every module of ``package`` itself, imported, by its file's name, in alphabetical order."""
    folder = importlib.import_module(package)
    names = sorted(info.name for info in pkgutil.iter_modules(folder.__path__) if not info.ispkg)
    return {name: importlib.import_module(f"{package}.{name}") for name in names}


@functools.cache
def toggles() -> Mapping[str, Toggle]:
    """Every toggle, in the order of application (see ``in_order``)."""
    return MappingProxyType(in_order(collect("mic2e_bench.catalog.toggles", Toggle)))


def in_order(found: Mapping[str, Toggle]) -> dict[str, Toggle]:
    """Toggles in the order of application: by phase, each after those that it names, and else by name.

    Raises ``BadInput`` for an ``after`` that cannot be kept: an unknown name, one of a later phase, or a circle.
    """
    for toggle in found.values():
        where = f"toggle {toggle.name}: after"
        for name in toggle.after:
            if name not in found:
                raise unknown("toggle", name, found, where)
            if (later := found[name].phase) > toggle.phase:
                raise BadInput(f"{where}: '{name}' is applied in {later.name}, which comes after {toggle.phase.name}.")
    ordered: dict[str, Toggle] = {}
    left = sorted(found.values(), key=lambda toggle: (toggle.phase, toggle.name))
    while left:
        ready = next((toggle for toggle in left if all(name in ordered for name in toggle.after)), None)
        if ready is None:
            waiting = ", ".join(toggle.name for toggle in left if toggle.after)
            raise BadInput(f"toggles {waiting}: each is to be applied after another of them; take one 'after' away.")
        ordered[ready.name] = ready
        left.remove(ready)
    return ordered


@functools.cache
def pipelines() -> Mapping[str, Pipeline]:
    """Every pipeline by name."""
    return collect("mic2e_bench.catalog.pipelines", Pipeline)


@functools.cache
def metrics() -> Mapping[str, Metric]:
    """Every metric by name."""
    return collect("mic2e_bench.catalog.metrics", Metric)


def toggles_of(pipeline: Pipeline) -> Mapping[str, Toggle]:
    """The toggles that mean something for ``pipeline``, in order of application."""
    return {name: toggle for name, toggle in toggles().items() if toggle.fits(pipeline)}


def pipeline(name: str, where: str = "") -> Pipeline:
    """The pipeline of that name, or ``BadInput`` naming the nearest."""
    if name not in pipelines():
        raise unknown("pipeline", name, pipelines(), where)
    return pipelines()[name]


def is_as_written(pipeline: str, name: str, value: Any) -> bool:
    """Whether a stored setting is as its toggle writes it; what no pipeline of this version has is a plain value."""
    try:
        return _is_as_written(pipeline, name, tuple(value) if isinstance(value, list) else value)
    except TypeError:  # a mapping, a list of lists
        return False


@functools.lru_cache(maxsize=4096, typed=True)
def _is_as_written(pipeline: str, name: str, value: Any) -> bool:
    mine, value = pipelines().get(pipeline), list(value) if isinstance(value, tuple) else value
    toggle = toggles_of(mine).get(name) if mine else None
    if toggle is None:
        return value is None or isinstance(value, (str, int, float, list))
    try:
        found = toggle.parse(value, mine)
    except (ValueError, TypeError):
        return False
    return found == value and type(found) is type(value)
