"""A pure function from what a record stores to a number with a unit and a direction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Metric:
    """One number.

    ``of`` says what it is computed from. For ``"record"``, ``compute(record)`` gets the stored ``Record`` and
    returns a float or ``None`` where the record has no such sample. For ``"images"``, ``compute(candidate,
    reference)`` gets two float arrays of shape (height, width, 3) in [0, 1] and returns a float; for ``"masks"``, two
    boolean arrays of shape (height, width). ``backbone()`` names what the metric really measured with: the weights of a
    learned one, the viewing conditions of one of perception. ``within(candidate, reference, regions)``, where a metric
    has it, returns its value over the whole (``""``) and over each region, a mapping from name to a boolean array of
    shape (height, width). ``source()``, where a metric is another one on another scale, names that one, whose value
    ``compute`` gets. ``averaged`` are two functions: to what is averaged over pictures in a value's place, and back.
    """

    name: str
    of: Literal["record", "images", "masks"]
    unit: str
    better: Literal["lower", "higher"]
    about: str
    compute: Callable[..., Any]
    backbone: Callable[[], str] | None = None
    within: Callable[..., dict[str, float]] | None = None
    source: Callable[[], str] | None = None
    averaged: tuple[Callable[[float], float], Callable[[float], float]] | None = None
