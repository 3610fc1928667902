"""Limits as people write them: ``4s``, ``250ms``, ``10GB``, ``10GiB``, ``85%``; and numbers written that way."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from mic2e_bench.errors import BadInput, nearest
from mic2e_bench.report.numbers import digits

SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
PERCENT = {"%": 1.0}
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\d\s]*)\s*\Z")


def seconds(text: str, where: str) -> float:
    """A latency in seconds. Raises ``BadInput`` naming ``where``."""
    return above_zero(quantity(text, SECONDS, where, "a time such as 4s or 250ms"), text, where)


def size(text: str, where: str) -> float:
    """A memory size in bytes. Raises ``BadInput`` naming ``where``."""
    return above_zero(quantity(text, BYTES, where, "a size such as 10GB or 10GiB"), text, where)


def percent(text: str, where: str) -> float:
    """A quality in percent, 0 to 100. Raises ``BadInput`` naming ``where``."""
    value = quantity(text, PERCENT, where, "a share such as 85%")
    if not 0 <= value <= 100:
        raise BadInput(f"{where}: {text} is out of reach: quality goes from 0% to 100%.")
    return value


def quantity(text: str, units: Mapping[str, float], where: str, example: str) -> float:
    """A number with one of ``units``, in the unit whose factor is 1. Raises ``BadInput`` where either is missing."""
    found = _NUMBER.match(text)
    if not found or not math.isfinite(float(found[1])):
        raise BadInput(f"{where}: '{text}' is not {example}.")
    number, unit = found[1], found[2]
    folded = {name.lower(): name for name in units}
    if not unit:
        raise BadInput(f"{where}: '{text}' has no unit. Write {example}; units: {', '.join(units)}.")
    if unit.lower() not in folded:
        known = ", ".join(units)
        raise BadInput(
            f"{where}: '{text}': unknown unit '{unit}'.{nearest(unit, units)} Write {example}; units: {known}."
        )
    return float(number) * units[folded[unit.lower()]]


def above_zero(value: float, text: str, where: str) -> float:
    if value <= 0:
        raise BadInput(f"{where}: {text} is out of reach: nothing takes so little. Write more than zero.")
    return value


def write(value: float, kind: str) -> str:
    """A value as a limit is written: ``kind`` is ``s``, ``B`` or ``%``. Sizes as the tables give them (MiB, GiB)."""
    if kind == "s":
        return f"{digits(value * 1e3)} ms" if abs(value) < 0.1 else f"{digits(value)} s"
    if kind == "B":
        return f"{digits(value / 2**30)} GiB" if abs(value) >= 2**30 else f"{digits(value / 2**20)} MiB"
    return f"{digits(value)} %"
