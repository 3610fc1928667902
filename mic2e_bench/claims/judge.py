"""What the records measured of a claim, and the verdict. The rule is in the package's docstring."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mic2e_bench import interval
from mic2e_bench.claims.read import ABSOLUTE, QUANTITIES, Claim
from mic2e_bench.claims.stored import Answer, Stored, answers
from mic2e_bench.metrics.latency import quartiles
from mic2e_bench.report.numbers import digits

HOLDS, PARTLY, NOT, UNKNOWN, NO_FIGURE = "holds", "partly", "does not", "not measurable here", "no figure claimed"
SLACK = 0.02  # where there is no interval
Value = tuple[float | None, list[float] | None, str]  # the figure, its 95 % interval, why there is none


@dataclass(frozen=True)
class Outcome:
    """A claim with what was measured: ``value`` and ``ci95`` in the quantity's unit, the records, the verdict."""

    claim: Claim
    verdict: str
    why: str = ""
    value: float | None = None
    ci95: Sequence[float] | None = None
    records: tuple[Stored, ...] = ()
    remark: str = ""

    @property
    def measured(self) -> str:
        """The figure for a cell, with its interval; or why there is none."""
        if self.value is None:
            return self.why
        unit = QUANTITIES[self.claim.of][2]
        sign = unit if unit == "×" else f" {unit}"
        ends = f" ({digits(self.ci95[0])} to {digits(self.ci95[1])})" if self.ci95 else ""
        return f"{digits(self.value)}{sign}{ends}{f'; {self.remark}' if self.remark else ''}"

    @property
    def place(self) -> str:
        """With which weights and on which device it was measured."""
        return self.records[0].place if self.records and self.value is not None else ""


def judge(claim: Claim, stored: Sequence[Stored]) -> Outcome:
    """The best answer that the records have for a claim, and the verdict on it."""
    if claim.obstacle:
        return Outcome(claim, UNKNOWN, claim.obstacle)
    found, why = answers(claim, stored)
    first = None
    for answer in found:
        value, ci95, problem = (None, None, answer.problem) if answer.problem else measure(claim, answer)
        if value is not None:
            verdict, why = _verdict(claim, answer, value, ci95)
            return Outcome(claim, verdict, why, value, ci95, answer.records, answer.remark)
        first = first or Outcome(claim, UNKNOWN, problem, records=answer.records)
    return first or Outcome(claim, UNKNOWN, why)


def measure(claim: Claim, answer: Answer) -> Value:
    """The quantity of a claim from the records of an answer."""
    return MEASURES[claim.of](answer)


def _speed(answer: Answer) -> Value:
    before, after = (one.record["timing"]["latency_s"] for one in (answer.before, answer.after))
    return (*interval.ratio_of_medians(before, after), "") if before and after else (None, None, "no timed calls")


def _throughput(answer: Answer) -> Value:
    value, ci95, why = _speed(answer)
    if value is None:
        return None, None, why
    more = answer.after.settings.get("batch", 1) / answer.before.settings.get("batch", 1)
    return value * more, ci95 and [end * more for end in ci95], ""


def _ratio(part: str, name: str) -> Callable[[Answer], Value]:
    def of(answer: Answer) -> Value:
        after, before = (one.record[part].get(name) for one in (answer.after, answer.before))
        return (after / before, None, "") if after and before else (None, None, _missing(name, answer))

    return of


def _missing(name: str, answer: Answer) -> str:
    """Why a record lacks a figure; without a GPU the bytes of the weights are what is known of its memory."""
    if "vram" not in name or answer.after.on_gpu:
        return f"{name} was not measured"
    weights = [one.record["memory"].get("weights_bytes") for one in answer.records]
    if len(weights) < 2 or not all(weights):
        return "no GPU here"
    return f"no GPU here (bytes of the weights: {digits(weights[0] / weights[1])}×)"


def _quality(answer: Answer) -> Value:
    """Pictures on the scale of LPIPS; masks by their overlap."""
    scores, factor = answer.after.record["quality"], 1
    entry = scores.get("quality") or {}
    if not entry and "iou" in scores:
        entry, factor = scores["iou"], 100
    if answer.after.trial["model"]["source"] == "random":
        return None, None, "random weights paint no pictures"
    if entry.get("value") is None:
        return None, None, entry.get("problem", "no score of its pictures")
    if entry["against"] != answer.before.record["id"]:
        return None, None, "its pictures were scored against those of other settings"
    return entry["value"] * factor, entry["ci95"] and [end * factor for end in entry["ci95"]], ""


def _first(answer: Answer) -> Value:
    timing = answer.after.record["timing"]
    if not timing["latency_s"] or timing["first_call_s"] is None:
        return None, None, "no first call on record"
    return timing["first_call_s"] / quartiles(timing["latency_s"])[1], None, ""


def _single(part: str, name: str, factor: float = 1) -> Callable[[Answer], Value]:
    def of(answer: Answer) -> Value:
        value = answer.after.record[part].get(name)
        return (value * factor, None, "") if value else (None, None, _missing(name, answer))

    return of


def _seconds(answer: Answer) -> Value:
    samples = answer.after.record["timing"]["latency_s"]
    return (quartiles(samples)[1], None, "") if samples else (None, None, "no timed calls")


def _images_per_minute(answer: Answer) -> Value:
    seconds, _, why = _seconds(answer)
    return (60 * answer.after.settings.get("batch", 1) / seconds, None, "") if seconds else (None, None, why)


MEASURES: Mapping[str, Callable[[Answer], Value]] = {
    "speed": _speed,
    "throughput": _throughput,
    "vram": _ratio("memory", "peak_vram_reserved_bytes"),
    "ram": _ratio("memory", "load_peak_rss_bytes"),
    "load": _ratio("timing", "load_s"),
    "first": _first,
    "quality": _quality,
    "seconds": _seconds,
    "images_per_minute": _images_per_minute,
    "vram_gb": _single("memory", "peak_vram_reserved_bytes", 1e-9),
    "ram_gb": _single("memory", "load_peak_rss_bytes", 1e-9),
    "load_s": _single("timing", "load_s"),
    "first_s": _single("timing", "first_call_s"),
}


def _verdict(claim: Claim, answer: Answer, value: float, ci95: Sequence[float] | None) -> tuple[str, str]:
    one = answer.after
    if not claim.has_figure:
        return NO_FIGURE, ""
    if claim.of == "quality" and claim.low == claim.high == 100:
        scores = one.record["quality"]
        visible = (scores.get("quality") or scores["iou"]).get("visible")
        words = {True: (NOT, "a visible difference"), False: (HOLDS, "no visible difference")}
        return words.get(visible, (UNKNOWN, "no measure of the noise in its pictures"))
    if claim.of in ABSOLUTE and not one.is_full_size:
        return UNKNOWN, f"an absolute figure needs weights of the published size; measured with the {one.place}"
    if claim.devices and not _on(claim.devices, one):
        return UNKNOWN, f"claimed for {' or '.join(claim.devices)}; measured on another device"
    return compare(claim, value, ci95)


def _on(devices: Sequence[str], one: Stored) -> bool:
    device = str(one.record["environment"].get("device", ""))
    return any(name.lower() in device.lower() or (name == "CPU" and not one.on_gpu) for name in devices)


def compare(claim: Claim, value: float, ci95: Sequence[float] | None) -> tuple[str, str]:
    """The verdict on a figure, all turned so that more is better."""
    better, neutral, _ = QUANTITIES[claim.of]
    sign = 1 if better == "higher" else -1
    slack = SLACK * value
    least, most = sorted(sign * end for end in (ci95 or (value - slack, value + slack)))
    worst, best = (claim.low, claim.high) if sign == 1 else (claim.high, claim.low)
    nothing = None if neutral is None else sign * neutral
    if worst is None:  # a warning: it gets worse, by at least so much
        return (HOLDS, "") if most < sign * best else (NOT, "")
    worst = sign * worst
    if nothing is not None and worst == nothing and best is None:  # a promise without a figure
        return (HOLDS, "") if least > nothing else (NOT, "no change beyond the noise" if most >= nothing else "")
    gain = nothing is not None and worst > nothing
    if most >= worst:
        if gain and ci95 and least <= nothing:
            return UNKNOWN, "the noise is larger than the claim"
        return HOLDS, ""
    return (PARTLY, "") if gain and least > nothing else (NOT, "")
