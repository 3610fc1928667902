"""What changed in one trial from the base to the head, metric by metric; whether that matters is judged elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mic2e_bench import statistics, units
from mic2e_bench.records.comparable import RSS, memory_of
from mic2e_bench.tools.compare import images, thresholds
from mic2e_bench.tools.compare.images import Values
from mic2e_bench.tools.compare.match import Match, Results, Rounds
from mic2e_bench.units import digits

USUAL_RATIOS = ("latency", "memory")  # the other ratios are shown where they are asked for
USUAL_QUALITY = ("quality", "iou", "quality.truth", "iou.truth")
KINDS = {"latency": "s", "load": "s", "first_call": "s", "memory": "B", "weights": "B"}
SAME_PICTURES = "the same pictures"
RSS_NOISE = 0.02  # of the value: the allocator and the libraries' pages move a process's peak from run to run


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
    yield from (_pictures(key, values) for key, values in scored.items() if key.endswith(".base"))


def quality_keys(pairing: Pairing, named: Sequence[str]) -> list[str]:
    """The keys of ``quality`` that a trial is judged by: quality and IoU, and those asked for by name."""
    mine, theirs = (trial.record.quality for trial in (pairing.match.base, pairing.match.head))
    both = [key for key in mine if key in theirs and (key in USUAL_QUALITY or key in named)]
    return [key for key in both if not (pairing.across and ".truth" in key)]


def _ratio(metric: str, pairing: Pairing) -> Change | None:
    """The change of a ratio, in percent; ``None`` where a side has no value, or none to compare with its own."""
    base, head = (samples(trial, metric) for trial in (pairing.match.base, pairing.match.head))
    if not base or not head:
        return None
    noise = _noise(metric, pairing.match.base)
    if pairing.across:
        one, other = pairing.baselines
        owns = [samples(trial, metric) if trial else [] for trial in (one, other)]
        if not all(owns) or pairing.match.base.id == one.id:
            return None
        value, ends, note = statistics.ratio_to_own(base, owns[0], head, owns[1], noise)
        shares = [statistics.middle(s) / statistics.middle(own) for s, own in zip((base, head), owns, strict=True)]
        words = [f"{digits(share)}× its baseline" for share in shares]
    else:
        value, ends, note = statistics.change(base, head, _take_turns(pairing.match), noise)
        words = [units.write(statistics.middle(side), KINDS[metric]) for side in (base, head)]
    percent = tuple((end - 1) * 100 for end in ends) if ends else None
    return Change(metric, (value - 1) * 100, percent, "%", *words, note=note)


def samples(trial: Rounds, metric: str) -> list[list[float]]:
    """The samples of each measured round; a single value is one sample."""
    read = {
        "latency": lambda r: r.latency_s,
        "load": lambda r: [r.load_s],
        "first_call": lambda r: [r.first_call_s],
        "weights": lambda r: [r.memory["weights_bytes"]],
        "memory": lambda r: [r.memory[memory_of(r)]],
    }[metric]
    found = [read(run.record) for run in trial.measured]
    return [values for values in found if values and None not in values]


def _noise(metric: str, trial: Rounds) -> float | None:
    """The share by which a single value is uncertain; ``None`` where only samples tell."""
    if metric == "memory":
        return RSS_NOISE if memory_of(trial.record) == RSS else 0.0
    return 0.0 if metric == "weights" else None


def _take_turns(match: Match) -> bool:
    """Whether not all rounds of one side were measured before all of the other."""
    sides = (match.base, match.head)
    base, head = ([str(run.record.environment.get("started", "")) for run in side.measured] for side in sides)
    return not (max(base) < min(head) or max(head) < min(base))


def _stored(key: str, pairing: Pairing, scored: Mapping[str, Values]) -> Change | None:
    """The change of a stored metric: none where the pictures are the same, else by picture where they are at hand."""
    entries = [trial.record.quality[key] for trial in (pairing.match.base, pairing.match.head)]
    if any(entry["value"] is None for entry in entries):
        return None
    unit = thresholds.unit_of(key)
    words = [f"{digits(entry['value'])} {unit}".strip() for entry in entries]
    if pairing.same_everything or (pairing.same_images and ".truth" in key):
        made = Change(key, 0.0, None, unit, *words, note=SAME_PICTURES)
    elif key in scored:
        made = _pictures(key, scored[key])
    else:
        value, ends, note = statistics.of_means(*(e["value"] for e in entries), *(e["ci95"] for e in entries))
        made = Change(key, value, tuple(ends) if ends else None, unit, *words, note=note)
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
