"""What a params file says of a kind, checked: each function names the key, the value and what is allowed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from mic2e_bench.errors import BadInput, unknown
from mic2e_bench.plan.protocol import no_repeats
from mic2e_bench.units import whole


def keys(asked: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise ``BadInput`` for a key that is none of these."""
    known = tuple(known)
    for key in asked:
        if key not in known:
            raise unknown("key", key, known, where)


def listed(value: Any) -> list[Any]:
    """A single value is a list of one."""
    return value if isinstance(value, list) else [value]


def several(value: Any, where: str) -> list[Any]:
    """A list with at least one entry, none of them twice; a single value is a list of one."""
    values = listed(value)
    if not values:
        raise BadInput(f"{where}: write a list with at least one entry.")
    no_repeats(values, where)
    return values


def wholes(value: Any, low: int, high: int, where: str) -> list[int]:
    """Whole numbers of this range."""
    return [whole(one, low, high, where) for one in several(value, where)]


def shares(value: Any, where: str) -> list[float]:
    """Numbers above 0 and below 1."""
    for one in several(value, where):
        if isinstance(one, bool) or not isinstance(one, (int, float)) or not 0 < one < 1:
            raise BadInput(f"{where}: {one!r} is not a share above 0 and below 1, such as 0.8.")
    return [float(one) for one in several(value, where)]


def number(value: Any, low: float, high: float, where: str) -> float:
    """A number of this range."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise BadInput(f"{where}: {value!r} is not a number from {low:g} to {high:g}.")
    return float(value)


def names(value: Any, known: Collection[str], what: str, where: str) -> list[str]:
    """Some of the known names."""
    for one in several(value, where):
        if not isinstance(one, str) or one not in known:
            raise unknown(what, one, known, where)
    return several(value, where)
