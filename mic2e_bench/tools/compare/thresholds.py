"""``--fail-on latency>5%``: the changes that matter, read and checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mic2e_bench.catalog import registry
from mic2e_bench.errors import BadInput, unknown

# ratios of HEAD to BASE: a change is in percent of the base
RATIOS = {"latency": "median of a call", "memory": "peak of a call", "weights": "bytes of the weights",
          "load": "loading", "first_call": "the first call"}  # fmt: skip
# a change inside the threshold is "the same", whether it lets a comparison fail or not
USUAL = {"latency": 5.0, "memory": 5.0, "weights": 1.0, "load": 25.0, "first_call": 25.0,
         "quality": 1.0, "iou": 0.01, "ssim": 0.01, "ms_ssim": 0.01, "lpips": 0.01, "psnr": 0.5}  # fmt: skip
BY_DEFAULT = ("latency>5%", "quality<-1%", "iou<-0.01", "lpips.base>0.01")
_FORM = re.compile(r"\s*([a-z][a-z_.]*)\s*([<>])\s*([+-]?\d*\.?\d+)\s*(%|dB)?\s*\Z", re.ASCII)


@dataclass(frozen=True)
class Threshold:
    """A metric's name (``quality`` means ``quality.truth`` and ``quality.base`` too) and the change that matters."""

    metric: str
    change: float  # above zero, in the unit of ``unit_of``

    def covers(self, metric: str) -> bool:
        return metric == self.metric or metric.startswith(f"{self.metric}.")


def unit_of(metric: str) -> str:
    """The unit of a metric's change: percent of the base for ratios, else the metric's own."""
    family = metric.partition(".")[0]
    if family in RATIOS or family == "quality":
        return "%"
    known = registry.metrics().get(family)  # a record may have the score of another version's metric
    return "" if known is None or known.unit == "1" else known.unit


def lower_is_better(metric: str) -> bool:
    family = metric.partition(".")[0]
    known = registry.metrics().get(family)
    return family in RATIOS or (family != "quality" and known is not None and known.better == "lower")


def read(texts: Sequence[str], known: Iterable[str]) -> list[Threshold]:
    """The thresholds of ``--fail-on``. ``known`` are the metrics that the records have. Raises ``BadInput``."""
    return [_one(text, list(known)) for text in texts]


def by_default(known: Iterable[str]) -> list[Threshold]:
    """``BY_DEFAULT``, as far as the records have such metrics."""
    known = list(known)
    return [_one(text, known) for text in BY_DEFAULT if re.split("[<>]", text)[0] in known]


def _one(text: str, known: list[str]) -> Threshold:
    found = _FORM.match(text)
    if not found:
        raise BadInput(f"--fail-on '{text}': write a metric, > or <, and a change, such as latency>5% or quality<-1%.")
    metric, sign, number, unit = found[1], found[2], float(found[3]), found[4] or ""
    if metric not in known:
        raise unknown("metric of these records", metric, known, f"--fail-on '{text}'")
    if unit != unit_of(metric):
        needed = unit_of(metric) or "no unit"
        raise BadInput(f"--fail-on '{text}': a change of {metric} has {needed}, not {unit or 'no unit'}.")
    lower = lower_is_better(metric)
    if (sign == ">") != lower or (number <= 0 if lower else number >= 0):
        example = abs(number) or USUAL.get(metric.partition(".")[0], 1.0)
        form = f"rises: {metric}>{example:g}{unit}" if lower else f"falls: {metric}<-{example:g}{unit}"
        raise BadInput(f"--fail-on '{text}': that is no loss; {metric} is lost where it {form}.")
    return Threshold(metric, abs(number))


def of(metric: str, asked: Sequence[Threshold]) -> float:
    """The change of a metric that matters: the one that was asked for (the most exact name counts), else the usual."""
    fitting = [threshold for threshold in asked if threshold.covers(metric)]
    if fitting:
        return max(fitting, key=lambda threshold: len(threshold.metric)).change
    return USUAL.get(metric.partition(".")[0], 0.0)
