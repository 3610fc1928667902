"""The contract of the kinds of throughput studies, one file each in ``kinds/``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mic2e_bench.catalog import registry
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.trial import Trial

if TYPE_CHECKING:
    from mic2e_bench.tools.throughput.record import ThroughputRecord


@dataclass(frozen=True)
class Point:
    """One thing to measure of a study: JSON values, all of them a part of its identity. The label is only a name."""

    label: str
    asked: Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """What a kind needs to measure a point: the study of the baseline alone, where files go, and whom to tell.

    ``tell(stage, share)`` says what is being done and the share of the point that is behind it.
    """

    study: Study
    results: Path
    log: Path
    tell: Callable[[str, float], None]
    address: str = ""  # of a cluster of workers; without one it is started

    @property
    def trial(self) -> Trial:
        """The pipeline as it is served: model, settings, inputs and protocol."""
        return self.study.baseline

    @property
    def folder(self) -> Path:
        """The study's own."""
        return self.results / self.study.name


@dataclass(frozen=True)
class Figure:
    """What a study's records say of a quantity that guides make claims about (see ``tools/claims``).

    ``value`` and its 95 % interval ``ci95`` are in that quantity's unit; ``why`` says what is missing where one of them
    is ``None``, ``remark`` what a reader of the figure has to know. ``records`` are those that it rests on.
    """

    of: str
    value: float | None
    ci95: Sequence[float] | None
    records: Sequence[ThroughputRecord]
    why: str = ""
    remark: str = ""


# what a kind raises of runs that are not as it writes them
ODD = (KeyError, TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError)


@dataclass(frozen=True)
class Kind:
    """A kind of throughput study.

    - ``points(asked, study, where)``: what the mapping under the key of its name asks for. Raises ``BadInput``.
    - ``measure(point, job)``: the record's own parts, JSON values in SI units with the unit in the name; ``runs`` among
      them. What it raises is the record's failure.
    - ``text(records)``: a table of all of a study, and its answer in one line.
    - ``figures(records)``: what they say of quantities that guides make claims about.
    """

    name: str
    about: str
    points: Callable[[Mapping[str, Any], Study, str], list[Point]]
    measure: Callable[[Point, Job], dict[str, Any]]
    text: Callable[[Sequence[ThroughputRecord]], str]
    figures: Callable[[Sequence[ThroughputRecord]], Sequence[Figure]] = field(default=lambda records: ())


@functools.cache
def kinds() -> Mapping[str, Kind]:
    """Every kind by name."""
    return registry.collect("mic2e_bench.tools.throughput.kinds", Kind)
