"""Does a measurement agree with the one before it? Part by part, and never inside the noise.

status, receipts   the same, or not
images             bit for bit the same; else ``pictures`` says what their difference is against what rounding does
latency            by the speed-up over the baseline, where both took turns with theirs in six builds or more: it agrees
                   where the value of one lies in the 95 % interval of the other, and does not where the intervals have
                   nothing in common. One time alone against another cannot be told: it would take six rounds in turns
memory             by the rule of `compare`: with what repeats differ by, all of it within its threshold, or beyond it
quality            each score is the same, or within its noise; scores of other pictures say no more than the pictures
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mic2e_bench import statistics, units
from mic2e_bench.records import comparable, ratios
from mic2e_bench.records.record import Record
from mic2e_bench.tools.compare import thresholds, verdict
from mic2e_bench.tools.reproduce import pictures
from mic2e_bench.tools.reproduce.original import Measurement
from mic2e_bench.units import digits

AGREES, DIFFERS, OPEN, APART = "agrees", "does not agree", "cannot be told", "not compared"
PERFECT = {"%": 100.0, "1": 1.0}  # by unit, of scores of which more is better


@dataclass(frozen=True)
class Finding:
    """One part of two measurements: a word of the four above, and why in a few words."""

    what: str
    word: str
    why: str = ""


def word(findings: list[Finding]) -> str:
    """The word for all: one part that does not agree decides, then one that cannot be told."""
    there = {finding.word for finding in findings}
    return next((each for each in (DIFFERS, OPEN) if each in there), AGREES)


def findings(then: Measurement, now: Measurement, other_machine: bool) -> Iterator[Finding]:
    """Everything that both measurements have."""
    old, new = then.record, now.record
    if old.status != new.status:
        why = f": {new.reason}" if new.reason else ""
        yield Finding("status", DIFFERS, f"{old.status} then, {new.status} now{why}")
        return
    yield Finding("status", AGREES, old.status)
    if not comparable.is_measured(old):
        return
    yield receipts(old, new)
    seen = images(then, now) if old.images else Finding("images", APART, "none")
    yield seen
    for what, compare in (("latency", latency), ("memory", memory)):
        yield Finding(what, APART, "this machine is another") if other_machine else compare(then, now)
    if old.quality:
        yield quality(then, now, seen.word)


def receipts(old: Record, new: Record) -> Finding:
    """Whether the same was in force."""
    both = [name for name in old.receipts if name in new.receipts]
    sides = [(name, old.receipts[name], new.receipts[name]) for name in both]
    moved = [
        f"{name} {a['seen']} then, {b['seen']} now"
        for name, a, b in sides
        if (a["seen"], a["applied"]) != (b["seen"], b["applied"])
    ]
    if moved:
        return Finding("receipts", DIFFERS, "; ".join(moved))
    return Finding("receipts", AGREES, f"{len(both)} settings in force as they were")


def images(then: Measurement, now: Measurement) -> Finding:
    """Whether the pictures are the same, or as near as rounding leaves them."""
    old, new = pictures.hashes(then.record), pictures.hashes(now.record)
    if old == new:
        return Finding("images", AGREES, f"{len(old)} of {len(old)} the same bit for bit")
    name, entry = pictures.entry(then, now)
    same = sum(old[key] == new.get(key) for key in old)
    if entry["value"] is None:
        return Finding("images", OPEN, f"{same} of {len(old)} the same bit for bit; the others: {entry['problem']}")
    floor = f", where rounding alone gives {digits(entry['floor'])}" if entry["floor"] is not None else ""
    score = f"{name} {digits(entry['value'])} {entry['unit'].replace('1', '')}".strip()
    why = f"{same} of {len(old)} the same bit for bit; against the record's {score}{floor}"
    words = {"same": AGREES, "rounding": AGREES, "visible": DIFFERS}
    if entry["told"] == "too few" and entry["floor"] is not None and entry["value"] >= entry["floor"]:
        return Finding("images", AGREES, why)  # these pictures are within it; nothing is said of others
    if entry["told"] not in words:
        why += f": {entry['told']}"
    return Finding("images", words.get(entry["told"], OPEN), why)


def latency(then: Measurement, now: Measurement) -> Finding:
    """Whether the time is the same, as far as two measurements at other times can say it."""
    old, new = then.record, now.record
    if not (old.latency_s and new.latency_s):
        return Finding("latency", APART, "no timed calls")
    medians = [units.write(float(np.median(one.latency_s)), "s") for one in (old, new)]
    said = f"{medians[0]} then, {medians[1]} now"
    if any(comparable.disturbed(one) for one in (old, new)):
        return Finding("latency", OPEN, f"{said}: other work disturbed it")
    if not (then.baseline and now.baseline):
        return Finding("latency", OPEN, f"{said}: {statistics.few(1)}")
    first, second = (ratios.speedup(each.baseline, each.record) for each in (then, now))
    lacking = [text for text in (first.why and f"then {first.why}", second.why and f"now {second.why}") if text]
    if lacking:
        return Finding("latency", OPEN, f"{said}: the speed-up has no interval ({', '.join(lacking)})")
    written = [f"{digits(one.ratio)}× [{', '.join(map(digits, one.interval))}]" for one in (first, second)]
    why = f"speed-up over the baseline {written[0]} then, {written[1]} now"
    if (
        first.interval[0] <= second.ratio <= first.interval[1]
        or second.interval[0] <= first.ratio <= second.interval[1]
    ):
        return Finding("latency", AGREES, why)
    apart = first.interval[1] < second.interval[0] or second.interval[1] < first.interval[0]
    return Finding("latency", DIFFERS if apart else OPEN, why)


def memory(then: Measurement, now: Measurement) -> Finding:
    """Whether the peak is the same; in another process it may differ by more than repeats of one run do."""
    old, new = then.record, now.record
    name = comparable.memory_of(old)
    peaks = [one.memory[name] for one in (old, new)]
    if None in peaks or 0 in peaks or comparable.memory_of(new) != name:
        return Finding("memory", OPEN, "no peak of the same kind")
    noise, limit = max(comparable.memory_noise(one) for one in (old, new)), thresholds.USUAL["memory"]
    change, wide = (100 * value / peaks[0] for value in (peaks[1] - peaks[0], noise))
    found = verdict.judge(change, (change - wide, change + wide), limit, lower_is_better=True, exact=False)
    written = [units.write(value, "B") for value in (*peaks, noise)]
    why = f"{comparable.MEMORY_NAMES[name]} {written[0]} then, {written[1]} now; repeats differ by up to {written[2]}, "
    words = {verdict.SAME: AGREES, verdict.INCONCLUSIVE: OPEN}
    return Finding("memory", words.get(found, DIFFERS), f"{why}and {limit:g} % count as the same")


def quality(then: Measurement, now: Measurement, seen: str = DIFFERS) -> Finding:
    """Whether every score that both have is the same, or within its noise.

    ``seen`` is the word for the pictures: scores of others are others, which says no more than the pictures do.
    """
    old, new = then.record.quality, now.record.quality
    both = [key for key in old if key in new and None not in (old[key]["value"], new[key]["value"])]
    if not then.baseline and not comparable.is_baseline(then.record):
        both = [key for key in both if old[key]["against"] == comparable.TRUTH]
    if not both:
        return Finding("quality", APART, "no score that both have")
    others = [key for key in both if old[key]["backbone"] != new[key]["backbone"]]
    moved = [key for key in both if key not in others and not _is_same(old[key], new[key])]
    if moved:
        said = [f"{key} {digits(old[key]['value'])} then, {digits(new[key]['value'])} now" for key in moved]
        is_sure = seen == DIFFERS or pictures.hashes(then.record) == pictures.hashes(now.record)
        return Finding("quality", DIFFERS if is_sure else OPEN, "; ".join(said))
    if others:
        said = f"{others[0]}: {old[others[0]]['backbone']} then, {new[others[0]]['backbone']} now"
        return Finding("quality", OPEN, f"scored with another network ({said})")
    return Finding("quality", AGREES, f"{len(both)} scores are the same, or within their noise")


def _is_same(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    apart = abs(new["value"] - old["value"])
    return apart <= max(1e-6 * abs(old["value"]), _noise(old))


def _noise(entry: Mapping[str, Any]) -> float:
    """By how much a score changes where only noise does."""
    if (floor := entry.get("floor")) is None:
        return 0.0
    if entry["better"] == "lower" or entry["against"] in (comparable.TRUTH, comparable.FLOAT32):
        return abs(floor)
    return max(0.0, PERFECT.get(entry["unit"], floor) - floor)  # of another unit nothing is known
