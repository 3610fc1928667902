"""``space:`` of a params file, checked.

::

    space:
      steps: [4, 8, 12, 20]                                          # a list of values
      attention: [native, {sliced: [1, 4, max]}]                     # sliced:1, sliced:4, sliced:max
      guidance: [1.0, 1.5, 2.5]
      guidance_stop: {values: [0.4, 0.7, 1.0], when: {guidance: [1.5, 2.5]}}    # else it stays the baseline's
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.errors import BadInput, unknown
from mic2e_bench.plan import params
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.settings import check, show
from mic2e_bench.tools.tune.space import Axis, Space, magnitude, require_points


def read(path: str | Path, changes: tuple[str, ...] = ()) -> tuple[Study, Space]:
    """A params file with a ``space:``, or with ``vary:``, whose grid is then the space. Raises ``BadInput``."""
    return resolve(params.content(path, changes), str(path))


def resolve(content: Mapping[str, Any], where: str = "params") -> tuple[Study, Space]:
    """The study of the baseline alone, and the space around it. Raises ``BadInput``."""
    content = {key: value for key, value in content.items() if value is not None}
    given = [key for key in ("space", *params.CHOICES) if key in content]
    if given not in (["space"], ["vary"]):
        said = f"not {' and '.join(given)}" if given else "there is neither"
        raise BadInput(f"{where}: tune searches a 'space:' of settings (or a 'vary:', as its grid); {said}.")
    wanted = content[given[0]]
    rest = {key: value for key, value in content.items() if key != given[0]}
    if "study" not in rest and "pipeline" in rest:
        varied = list(wanted) if given == ["vary"] and isinstance(wanted, dict) else ["tune"]
        rest["study"] = "-".join(map(str, (rest["pipeline"], *varied)))
    study = params.resolve_study(rest, where)
    found = axes(wanted, study.pipeline, f"{where}: {given[0]}")
    space = Space(study.pipeline, study.baseline.content["settings"], found)
    require_points(space, where)
    return study, space


def axes(given: Any, pipeline: Pipeline, where: str) -> tuple[Axis, ...]:
    """The axes of a ``space:`` or of a ``vary:``, in their order. Raises ``BadInput``."""
    if not isinstance(given, dict) or not given:
        raise BadInput(f"{where}: write setting: [value, value] for each setting that may vary; given: {given!r}.")
    found: dict[str, Axis] = {}
    for name, entry in given.items():
        entry = entry if isinstance(entry, dict) else {"values": entry}
        for key in entry:
            if key not in ("values", "when"):
                raise unknown("key", key, ("values", "when"), f"{where}: {name}")
        when = _conditions(entry.get("when", {}), found, pipeline, f"{where}: {name}: when")
        for axis in _of_setting(str(name), entry.get("values"), when, pipeline, where):
            found[axis.name] = axis
    return tuple(found.values())


def _of_setting(name: str, values: Any, when: Mapping[str, tuple], pipeline: Pipeline, where: str) -> list[Axis]:
    """The axis of a setting, and one for each of its values that has a part after a colon."""
    if not isinstance(values, list) or not values:
        raise BadInput(f"{where}: {name}: write a list with at least one value; given: {values!r}.")
    own, parts = [], []
    for value in values:
        if isinstance(value, dict):
            ((head, tails),) = value.items() if len(value) == 1 else ((None, None),)
            if not isinstance(head, str) or not isinstance(tails, list) or not tails:
                raise BadInput(f"{where}: {name}: write {{head: [value, value]}} for head:value; given: {value!r}.")
            for tail in tails:
                check(name, f"{head}:{show(tail)}", pipeline, where)
            own.append(head)
            parts.append(Axis(f"{name}.{head}", name, _distinct(tails), {name: (head,)}, head))
        else:
            own.append(check(name, value, pipeline, where))
    return [Axis(name, name, _distinct(own), when), *parts]


def _conditions(given: Any, axes: Mapping[str, Axis], pipeline: Pipeline, where: str) -> dict[str, tuple]:
    if not isinstance(given, dict):
        raise BadInput(f"{where}: write setting: [value, value]; given: {given!r}.")
    found = {}
    for name, values in given.items():
        if name not in axes:
            raise unknown("setting above it", name, axes, where)
        values = values if isinstance(values, list) else [values]
        there = axes[name].values
        found[name] = tuple(v if v in there else check(name, v, pipeline, where) for v in values)
        for value in found[name]:
            if value not in there:
                raise unknown(f"value of {name} in the space", show(value), map(show, there), where)
    return found


def _distinct(values: list[Any]) -> tuple[Any, ...]:
    """Each value once; numbers from small to large."""
    found: list[Any] = []
    for value in values:
        if not any(value == one and type(value) is type(one) for one in found):
            found.append(value)
    return tuple(found if None in map(magnitude, found) else sorted(found, key=magnitude))
