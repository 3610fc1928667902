"""One record against another: how much faster it is.

A speed-up has an interval only where it would be found again: its calls took turns with the baseline's in rounds that
were spread over six fresh builds or more. A round gives a ratio, a build the median of its rounds', and the interval is
the exact one of the signed ranks over builds. It is then widened, on the log scale and to both sides, by how far the
baseline was from a second one of itself, measured in the same rounds: the placebo.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mic2e_bench import statistics
from mic2e_bench.records import comparable
from mic2e_bench.records.record import Record

OTHER_ROUNDS = "in other rounds than the baseline"


class Speedup(NamedTuple):
    """How much faster a record is than its baseline, and how sure that is: see ``is_clear``."""

    ratio: float | None  # the baseline's seconds an image over the record's; ``None`` where one has no samples
    interval: list[float] | None = None  # of 95 %
    why: str = ""  # there is no interval
    interleaved: bool = False  # whether the calls of both took turns

    @property
    def is_clear(self) -> bool:
        """Whether one is faster than the other: it has an interval, and that leaves out 1."""
        return self.interval is not None and not self.interval[0] <= 1 <= self.interval[1]


def speedup(baseline: Record, one: Record, study: Record | None = None) -> Speedup:
    """The baseline's seconds an image over the record's.

    ``study``: the baseline of their study, which holds the placebo, where ``baseline`` is another record.
    """
    return of_products([baseline], [one], study or baseline)


def of_products(above: Sequence[Record], below: Sequence[Record], study: Record) -> Speedup:
    """The product of the seconds an image of some records over that of as many others; ``study`` is their baseline."""
    records = [*above, *below]
    if not all(one.latency_s for one in records):
        return Speedup(None, why="no timed calls")
    same = {(one.rounds, len(one.latency_s), tuple(one.builds)) for one in records}
    interleaved = len(same) == 1 and bool(records[0].rounds)
    builds = records[0].builds
    if why := _lacking(records, study, interleaved):
        seconds = [[np.median(one.latency_s) / one.batch for one in side] for side in (above, below)]
        return Speedup(float(np.prod(seconds[0]) / np.prod(seconds[1])), None, why, interleaved)
    value, ends = statistics.over_builds([one.latency_s for one in above], [one.latency_s for one in below], builds)
    images = math.log(math.prod(one.batch for one in below) / math.prod(one.batch for one in above))
    wider = abs(math.log(from_itself(study))) * len(above)
    low, high = (float(np.exp(end + images)) for end in (ends[0] - wider, ends[1] + wider))
    return Speedup(float(np.exp(value + images)), [low, high], "", True)


def from_itself(baseline: Record) -> float | None:
    """A baseline's seconds over those of its placebo; ``None`` where it has none."""
    if not len(baseline.placebo_s) == len(baseline.latency_s) == len(baseline.builds) > 0:
        return None
    return math.exp(statistics.over_builds([baseline.latency_s], [baseline.placebo_s], baseline.builds)[0])


def _lacking(records: Sequence[Record], study: Record, interleaved: bool) -> str:
    """Why ratios of these records have no interval; empty where they have one."""
    if not interleaved:
        return OTHER_ROUNDS if all(each.rounds for each in records) else "not interleaved"
    one = records[0]
    builds = len(set(one.builds)) if len(one.builds) == len(one.latency_s) else 1
    if builds < statistics.ENOUGH:
        return "one build" if builds <= 1 else f"{builds} builds, fewer than {statistics.ENOUGH}"
    if study.rounds != one.rounds or study.builds != one.builds or from_itself(study) is None:
        return f"no placebo ({study.placebo_failed})" if study.placebo_failed else "no placebo"
    if any(comparable.disturbed(each) for each in (*records, study)):
        return "disturbed"
    if any(text.startswith("drift") for each in records for text in each.warnings):
        return "drifting"
    return ""
