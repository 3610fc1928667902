"""One optimisation: its values, the phase in which it applies, and how it is read back from the live object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings


class Phase(IntEnum):
    """The order of application. Toggles of one phase commute, or say which others they come ``after``."""

    LOAD = 1  # arguments of from_pretrained
    MODIFY = 2  # the loaded pipeline object
    PLACE = 3  # device and offload
    COMPILE = 4  # compilers and engines
    CALL = 5  # arguments of the call and its inputs; needs no new build


@dataclass(frozen=True)
class Seen:
    """What ``observe`` read from the live object.

    ``applied`` defaults to "what was seen is what was asked"; a toggle whose seen value has another form sets it.
    """

    value: Any
    how: str
    applied: bool | None = None
    reason: str = ""


@dataclass(frozen=True)
class Code:
    """A setting as plain library code, for a snippet in which ``pipe`` is the pipeline.

    ``load``: arguments of ``from_pretrained``. ``lines``: statements, of a toggle of LOAD before the loading, of others
    on the loaded ``pipe``. ``around``: a context manager that the call belongs in. ``after``: statements after the
    call. ``imports``: whole import statements; ``first``: statements before all of them. All empty: nothing needs to
    be said.
    """

    load: str = ""
    lines: str = ""
    around: str = ""
    after: str = ""
    imports: tuple[str, ...] = ()
    first: str = ""


@dataclass(frozen=True)
class Toggle:
    """One optimisation.

    ``parse(value, pipeline)`` gives the canonical value or raises ``ValueError`` saying what is allowed; it runs at
    planning time and must not import torch. ``apply(build, value)`` may raise ``Unavailable``. ``observe(build,
    value)`` runs after the first call and reads the real state. ``cost`` is what the setting is declared to do to
    the image. ``after`` names toggles of the same phase that must have been applied before; all others may come in any
    order. ``fits`` tells the pipelines that have it. ``missing(value, device)`` says in one line what this machine
    lacks for a value, before anything is loaded and without torch; an empty text where nothing is known to be missing.
    ``tolerance`` is the greatest difference of a pixel (of 1) from the default setting's image that the declared cost
    allows, in float32 on one device. ``code(value, settings, pipeline)`` says the setting in plain library code, or
    ``None`` where that cannot be; a toggle without it is put in force by ``mic2e_bench.apply`` in exported code.
    ``settings`` are all the resolved ones.

    For pipelines that somebody else has loaded: ``on_live(build, value)`` does the work of a toggle of LOAD and returns
    why it cannot, or an empty text; a toggle of LOAD without it comes too late there. ``arguments(value, pipeline)`` is
    what a setting of CALL gives the pipeline's own call, by that call's names.
    """

    name: str
    phase: Phase
    values: str
    default: Any
    parse: Callable[[Any, Pipeline], Any]
    apply: Callable[[Build, Any], None]
    observe: Callable[[Build, Any], Seen]
    cost: Literal["none", "rounding", "real"]
    about: str
    source: str
    after: tuple[str, ...] = ()
    fits: Callable[[Pipeline], bool] = lambda pipeline: True
    missing: Callable[[Any, str], str] = lambda value, device: ""
    tolerance: float | None = None
    code: Callable[[Any, Settings, Pipeline], Code | None] | None = None
    on_live: Callable[[Build, Any], str] | None = None
    arguments: Callable[[Any, Pipeline], Mapping[str, Any]] = lambda value, pipeline: {}


def in_call(value: Any, settings: Settings, pipeline: Pipeline) -> Code:
    """The ``code`` of a setting that the pipeline's own call, or another setting's code, says."""
    return Code()


def unless(plain: Any, **parts: Any) -> Callable[..., Code]:
    """A ``code`` of these parts; for the value ``plain`` nothing needs to be said."""
    return lambda value, settings, pipeline: Code() if value == plain else Code(**parts)


def one_of(*allowed: Any) -> Callable[[Any, Any], Any]:
    """A ``parse`` that accepts exactly these values."""

    def parse(value: Any, pipeline: Any) -> Any:
        for choice in allowed:
            if value == choice and type(value) is type(choice):
                return choice
        raise ValueError(f"one of {', '.join(map(str, allowed))}")

    return parse


def on_off(value: Any, pipeline: Any) -> bool:
    """A ``parse`` that accepts true and false."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def number(kind: type, low: float, high: float) -> Callable[[Any, Any], Any]:
    """A ``parse`` that accepts an ``int`` or ``float`` between ``low`` and ``high``, both included."""

    def parse(value: Any, pipeline: Any) -> Any:
        accepted = (int,) if kind is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, accepted) or not low <= value <= high:
            raise ValueError(f"{'a whole number' if kind is int else 'a number'} from {low} to {high}")
        return kind(value)

    return parse
