"""What changed in one trial from the base to the head, metric by metric; whether that matters is judged elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mic2e_bench import statistics, units
from mic2e_bench.records.comparable import memory_noise, memory_of
from mic2e_bench.records.record import Record
from mic2e_bench.statistics import Samples
from mic2e_bench.tools.compare import images, thresholds
from mic2e_bench.tools.compare.images import Values
from mic2e_bench.tools.compare.match import Match, Results, Rounds
from mic2e_bench.units import digits

USUAL_RATIOS = ("latency", "memory")  # the other ratios are shown where they are asked for
USUAL_QUALITY = ("quality", "iou", "quality.truth", "iou.truth")
KINDS = {"latency": "s", "load": "s", "first_call": "s", "memory": "B", "weights": "B"}
SAME_PICTURES = "the same pictures"


@dataclass(frozen=True)
class Change:
    """One metric of one trial.

    ``value`` and ``ci95`` are in ``unit``: percent of the base for ratios, else the metric's own. ``noise`` is by how
    much the metric changes where nobody changed anything; ``base`` and ``head`` are the two values in words.
    """

    metric: str
    value: float
    ci95: tuple[float, float] | None
    unit: str
    base: str
    head: str
    noise: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Pairing:
    """A match with its two sides and how they are compared."""

    match: Match
    base: Results
    head: Results
    across: bool  # machines: only ratios to each side's own baseline

    @property
    def baselines(self) -> tuple[Rounds | None, Rounds | None]:
        return self.base.baseline_of(self.match.base), self.head.baseline_of(self.match.head)

    @property
    def same_images(self) -> bool:
        return not self.across and images.same(self.match.base, self.match.head)

    @property
    def same_everything(self) -> bool:
        """Whether the pictures are the same, and those that they are scored against."""
        return self.same_images and (self.baselines == (None, None) or images.same(*self.baselines))


def of(pairing: Pairing, ratios: Sequence[str], keys: Sequence[str], scored: Mapping[str, Values]) -> Iterator[Change]:
    """The changes of a trial that both sides measured.

    ``ratios`` are names of ``thresholds.RATIOS``, ``keys`` of a record's ``quality``; ``scored`` has the values of
    pictures that differ.
    """
    for metric in ratios:
        if change := _ratio(metric, pairing):
            yield change
    for key in keys:
        if change := _stored(key, pairing, scored):
            yield change
    if pairing.same_images and pairing.match.head.record.images:
        yield Change("quality.base", 0.0, None, "%", "100 %", "100 %", note=SAME_PICTURES)
    else:
        yield from (_pictures(key, values) for key, values in scored.items() if key.endswith(".base"))


def quality_keys(pairing: Pairing, named: Sequence[str]) -> list[str]:
    """The keys of ``quality`` that a trial is judged by: quality and IoU, and those asked for by name, of the base."""
    asked = [key for key in pairing.match.base.record.quality if key in USUAL_QUALITY or key in named]
    return [key for key in asked if not (pairing.across and ".truth" in key)]


def worded(trial: Rounds, metric: str) -> str:
    """A trial's value of a ratio or of a key of ``quality`` in words; empty where it has none."""
    if metric in KINDS:
        found = samples(trial, metric)
        return units.write(statistics.middle(found), KINDS[metric]) if found else ""
    value = trial.record.quality.get(metric, {}).get("value")
    return "" if value is None else f"{digits(value)} {thresholds.unit_of(metric)}".strip()


def _ratio(metric: str, pairing: Pairing) -> Change | None:
    """The change of a ratio, in percent; ``None`` where a side has no value, or none to compare with its own."""
    if (found := sides(metric, pairing)) is None:
        return None
    base, head, turns = found
    noise = _noise(metric, pairing.match.base, pairing.match.head)
    if pairing.across:
        noise = None if noise is None else noise * math.sqrt(2)  # of each side's baseline, too
        words = [f"{digits(statistics.middle(side))}× its baseline" for side in (base, head)]
    else:
        words = [units.write(statistics.middle(side), KINDS[metric]) for side in (base, head)]
    value, ends, note = statistics.change(base, head, turns, noise)
    percent = tuple((end - 1) * 100 for end in ends) if ends else None
    return Change(metric, (value - 1) * 100, percent, "%", *words, note=note)


def sides(metric: str, pairing: Pairing) -> tuple[Samples, Samples, bool] | None:
    """The samples of the base's and the head's rounds, pair by pair, and whether the two took turns.

    Rounds are paired by time, and where that gives hardly any, by their order. Across machines a round is one value,
    its ratio to its own side's baseline. ``None`` where a side has none.
    """
    match = pairing.match
    if pairing.across:
        one, other = pairing.baselines
        if one is None or other is None or match.base.id == one.id:
            return None
        found = [
            statistics.to_own(samples(t, metric), samples(own, metric))
            for t, own in zip((match.base, match.head), (one, other), strict=True)
        ]
        return (*found, True) if all(found) else None
    in_order = list(zip(match.base.measured, match.head.measured, strict=False))
    in_turns = match.in_turns
    turns = len(in_turns) >= min(len(in_order), statistics.ENOUGH)
    pairs = [tuple(_read(run.record, metric) for run in pair) for pair in (in_turns if turns else in_order)]
    pairs = [pair for pair in pairs if all(pair)]
    return ([one for one, _ in pairs], [other for _, other in pairs], turns) if pairs else None


def samples(trial: Rounds, metric: str) -> list[list[float]]:
    """The samples of each measured round that has some; a single value is one sample."""
    return [values for run in trial.measured if (values := _read(run.record, metric))]


def _read(one: Record, metric: str) -> list[float]:
    values = {
        "latency": lambda: one.latency_s,
        "load": lambda: [one.load_s],
        "first_call": lambda: [one.first_call_s],
        "weights": lambda: [one.memory["weights_bytes"]],
        "memory": lambda: [one.memory[memory_of(one)]],
    }[metric]()
    return [] if None in values or 0 in values else list(values)  # no ratio is of nothing


def _noise(metric: str, *trials: Rounds) -> float | None:
    """The share by which single values differ where nobody changed anything; ``None`` where only samples tell."""
    if metric == "memory":
        noises = [(memory_noise(one.record), one.record.memory[memory_of(one.record)]) for one in trials]
        return max((noise / value for noise, value in noises if noise is not None and value), default=None)
    return 0.0 if metric == "weights" else None


def _stored(key: str, pairing: Pairing, scored: Mapping[str, Values]) -> Change | None:
    """The change of a stored metric: none where the pictures are the same, else by picture where they are at hand."""
    trials = (pairing.match.base, pairing.match.head)
    words = [worded(trial, key) for trial in trials]
    if not all(words):
        return None
    entries, unit = [trial.record.quality[key] for trial in trials], thresholds.unit_of(key)
    if pairing.same_everything or (pairing.same_images and ".truth" in key):
        made = Change(key, 0.0, None, unit, *words, note=SAME_PICTURES)
    elif key in scored:
        made = _pictures(key, scored[key])
    else:
        value = entries[1]["value"] - entries[0]["value"]
        made = Change(key, value, None, unit, *words, note="of stored means: said of these pictures alone")
    if entries[0]["backbone"] != entries[1]["backbone"]:
        made = replace(made, note="; ".join(filter(None, [made.note, "scored with other backbones"])))
    return replace(made, noise=_floor(entries[0], key))


def _pictures(key: str, values: Values) -> Change:
    """The change of a metric from its values of every picture."""
    value, ends, note = statistics.difference(values.base, values.head, values.inputs)
    unit = thresholds.unit_of(key)
    words = [f"{digits(sum(side) / len(side))} {unit}".strip() for side in (values.base, values.head)]
    return Change(key, value, tuple(ends) if ends else None, unit, *words, note=note)


def _floor(entry: Mapping[str, Any], key: str) -> float:
    """By how much a stored metric changes where nobody changed anything: its noise floor as a difference."""
    if (floor := entry.get("floor")) is None:
        return 0.0
    if ".truth" in key or entry["better"] == "lower":
        return abs(floor)
    perfect = {"%": 100.0, "1": 1.0}.get(entry["unit"], floor)  # of another unit nothing is known
    return max(0.0, perfect - floor)
