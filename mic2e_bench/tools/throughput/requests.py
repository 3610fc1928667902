"""A request to something that serves a pipeline, and what became of it: the same for pools, servers and simulations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Request:
    """``intended_s`` is when it arrives, in seconds from the start of the run, whether anybody is free then or not.

    ``size``: the work that is expected of it, as a share of the baseline's call.
    """

    index: int
    intended_s: float
    seed: int
    size: float = 1.0


@dataclass(frozen=True)
class Answer:
    """Times in seconds from the start of the run, by the clock of the one who asks.

    ``service_s`` is a duration by the clock of the one who worked: clocks of two machines are never compared.
    ``digest`` is the SHA-256 of the picture's pixels; without one there was no picture.
    """

    index: int
    intended_s: float
    sent_s: float
    ended_s: float
    service_s: float
    worker: str = ""
    status: str = "ok"
    reason: str = ""
    digest: str = ""

    @property
    def latency_s(self) -> float:
        """From the intended arrival on: whoever could not be served at once has waited."""
        return self.ended_s - self.intended_s

    @property
    def waiting_s(self) -> float:
        """All of the latency that is no service: queues, and the way to the worker and back."""
        return self.latency_s - self.service_s


Send = Callable[[Request], Awaitable[Answer]]


def columns(answers: Sequence[Answer]) -> dict[str, list[Any]]:
    """The answers as a record keeps them: a list a field."""
    return {name: [getattr(one, name) for one in answers] for name in Answer.__dataclass_fields__}


def of_columns(stored: dict[str, list[Any]]) -> list[Answer]:
    """The answers of a record."""
    names = [name for name in Answer.__dataclass_fields__ if name in stored]
    return [Answer(**dict(zip(names, row, strict=True))) for row in zip(*(stored[name] for name in names), strict=True)]
