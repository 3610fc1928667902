"""Quantities as people write and read them: ``4s``, ``10GiB``, ``85%``, ``key=value``; three significant digits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mic2e_bench.errors import BadInput, nearest
from mic2e_bench.files import yaml_value

MIB, GIB = 1 << 20, 1 << 30
NONE = "–"
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
TIMES = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}  # of work that takes minutes
BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": MIB, "GiB": GIB}
LONGEST_S = 2_000_000  # what a clock of the kernel can wait for
PERCENT = {"%": 1.0}
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\d\s]*)\s*\Z", re.ASCII)


def whole(value: Any, low: int, high: int, where: str, other: str = "", hint: str = "") -> int:
    """A whole number from ``low`` to ``high``. Raises ``BadInput``, which names what ``other`` form there is."""
    if type(value) is not int or not low <= value <= high:
        raise BadInput(f"{where}: {value!r} is not a whole number from {low} to {high}{other}.{hint}")
    return value


def count(text: str, where: str) -> int:
    """A whole number from 1, as a command line has it. Raises ``BadInput``."""
    if not re.fullmatch("[0-9]{1,9}", text) or not int(text):
        raise BadInput(f"{where}: {text} is not a whole number from 1.")
    return int(text)


def seconds(text: str, where: str) -> float:
    """A latency in seconds. Raises ``BadInput`` naming ``where``."""
    return _above_zero(text, SECONDS, where, "a time such as 4s or 250ms")


def working_time(text: str, where: str, example: str = "a time such as 90s, 10m or 1h") -> float:
    """Seconds that work may take. Raises ``BadInput`` naming ``where``."""
    if (found := _above_zero(text, TIMES, where, example)) > LONGEST_S:
        raise BadInput(f"{where}: {text} is longer than {LONGEST_S // 86400} days, which no clock here waits for.")
    return found


def size(text: str, where: str) -> float:
    """A memory size in bytes. Raises ``BadInput`` naming ``where``."""
    return _above_zero(text, BYTES, where, "a size such as 10GB or 10GiB")


def percent(text: str, where: str) -> float:
    """A quality in percent, 0 to 100. Raises ``BadInput`` naming ``where``."""
    value = _quantity(text, PERCENT, where, "a share such as 85%")
    if not 0 <= value <= 100:
        raise BadInput(f"{where}: {text} is out of reach: quality goes from 0% to 100%.")
    return value


def _quantity(text: str, units: Mapping[str, float], where: str, example: str) -> float:
    """A number with one of ``units``, in the unit whose factor is 1. Raises ``BadInput`` where either is missing."""
    found = _NUMBER.match(text := str(text))  # from a notebook it may be a number
    if not found or not math.isfinite(float(found[1])):
        raise BadInput(f"{where}: '{text}' is not {example}.")
    unit, advice = found[2], f"Write {example}; units: {', '.join(units)}."
    if not unit:
        raise BadInput(f"{where}: '{text}' has no unit. {advice}")
    folded = {name.lower(): factor for name, factor in units.items()}
    if unit.lower() not in folded:
        raise BadInput(f"{where}: '{text}': unknown unit '{unit}'.{nearest(unit, units)} {advice}")
    return float(found[1]) * folded[unit.lower()]


def _above_zero(text: str, units: Mapping[str, float], where: str, example: str) -> float:
    value = _quantity(text, units, where, example)
    if value <= 0:
        raise BadInput(f"{where}: {text} is out of reach: nothing takes so little. Write more than zero.")
    if not math.isfinite(value):
        raise BadInput(f"{where}: {text} is out of reach: nothing takes so much.")
    return value


def assignment(text: str, option: str, example: str) -> tuple[str, Any]:
    """The key and the value, read as YAML, of ``key=value``. Raises ``BadInput`` naming the option."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise BadInput(f"{option} {text}: write key=value, for example {option} {example}.")
    return key, yaml_value(value, f"{option} {text}", key.rpartition(".")[2])


def change_key(params: dict[str, Any], change: str) -> None:
    """Apply one ``--set a.b=value``; the value is read as YAML."""
    keys, value = assignment(change, "--set", "protocol.repeats=3")
    *parents, last = keys.split(".")
    place = params
    for parent in parents:
        child = place.setdefault(parent, {})
        if not isinstance(child, dict):
            raise BadInput(f"--set {change}: '{parent}' holds {child!r}, which has no keys.")
        place = child
    place[last] = value


def digits(value: Any, count: int = 3) -> str:
    """A number with ``count`` significant digits and no exponent where it fits; a dash where there is none."""
    if missing(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    if abs(value) < 1e-4:
        return f"{value:.{count - 1}e}"
    decimals = count - 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, decimals)}f}"


def missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def scale(name: str, values: Iterable[Any]) -> tuple[float, str]:
    """What to multiply a column by, and its unit: seconds or milliseconds, MiB or GiB."""
    top = max((abs(value) for value in values if not missing(value)), default=0)
    if name.endswith("_bytes"):
        return (1 / GIB, "GiB") if top >= GIB else (1 / MIB, "MiB")
    return (1e3, "ms") if 0 < top < 0.1 else (1.0, "s")


def duration(seconds: float) -> str:
    """Of work, rounded up: ``40 s``, ``7 min``, ``2.5 h``."""
    if seconds < 100:
        return f"{math.ceil(seconds)} s"
    return f"{math.ceil(seconds / 60)} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def gib(size: float) -> str:
    """Bytes in GiB, without the unit."""
    return digits(size / GIB)


def write(value: float, kind: str) -> str:
    """A value as people read it: ``kind`` is ``s``, ``B`` or ``%``. Sizes as the tables give them (MiB, GiB)."""
    number, unit = _in_unit(value, kind)
    return f"{digits(number)} {unit}"


def as_asked(value: float, kind: str) -> str:
    """A limit that somebody has set, not rounded: else what misses it by a little would seem to meet it."""
    number, unit = _in_unit(value, kind)
    return f"{number:.9g} {unit}"


def _in_unit(value: float, kind: str) -> tuple[float, str]:
    if kind == "s":
        return (value * 1e3, "ms") if abs(value) < 0.1 else (value, "s")
    if kind == "B":
        return (value / GIB, "GiB") if abs(value) >= GIB else (value / MIB, "MiB")
    return value, "%"
