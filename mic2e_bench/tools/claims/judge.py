"""What the records measured of a claim, and the verdict. The rule is in the package's docstring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mic2e_bench.tools.claims.answers import Evidence, Stored, answers
from mic2e_bench.tools.claims.claims_file import ABSOLUTE, QUANTITIES, Claim
from mic2e_bench.tools.claims.quantities import MEASURES
from mic2e_bench.units import digits

HOLDS, PARTLY, NOT, UNKNOWN, NO_FIGURE = "holds", "partly", "does not", "not measurable here", "no figure claimed"
SLACK = 0.02  # where there is no interval


@dataclass(frozen=True)
class JudgedClaim:
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


def judge(claim: Claim, stored: Sequence[Stored]) -> JudgedClaim:
    """The best answer that the records have for a claim, and the verdict on it."""
    if claim.obstacle:
        return JudgedClaim(claim, UNKNOWN, claim.obstacle)
    if claim.together:
        return _together(claim, stored)
    found, why = answers(claim, stored)
    first = None
    for answer in found:
        value, ci95, problem = (None, None, answer.problem) if answer.problem else MEASURES[claim.of](answer)
        if value is not None:
            verdict, why = _verdict(claim, answer, value, ci95)
            return JudgedClaim(claim, verdict, why, value, ci95, answer.records, answer.remark)
        first = first or JudgedClaim(claim, UNKNOWN, problem, records=answer.records)
    return first or JudgedClaim(claim, UNKNOWN, why)


def _together(claim: Claim, stored: Sequence[Stored]) -> JudgedClaim:
    """Pipelines side by side: no record holds several, but no peak of all is above the sum of their own.

    All on one device: the first that the rule prefers and that has them all.
    """
    firsts, _ = answers(claim.together[0], stored)
    devices = dict.fromkeys(answer.after.device for answer in firsts) or [""]
    tried = [[judge(part, [s for s in stored if s.device == device]) for part in claim.together] for device in devices]
    parts = next((each for each in tried if all(part.value is not None for part in each)), tried[0])
    for part in parts:
        if part.value is None:
            return JudgedClaim(claim, UNKNOWN, f"{part.claim.pipeline.name}: {part.why}", records=part.records)
    records = tuple(part.records[0] for part in parts)
    value, remark = sum(part.value for part in parts), "the sum of separate peaks, an upper bound"
    small = next((one for one in records if not one.is_full_size), None)
    why = "the sum is above the claim, and no record holds all at once"
    if small:
        why = f"weights of the published size are needed; measured with the {small.place}"
    elif compare(claim, value, None)[0] == HOLDS:
        return JudgedClaim(claim, HOLDS, "", value, None, records, remark)
    return JudgedClaim(claim, UNKNOWN, why, value, None, records, remark)


def _verdict(claim: Claim, answer: Evidence, value: float, ci95: Sequence[float] | None) -> tuple[str, str]:
    one = answer.after
    if not claim.has_figure:
        return NO_FIGURE, ""
    if claim.of == "quality" and claim.low == claim.high == 100:
        scores = one.record.quality
        visible = (scores.get("quality") or scores["iou"]).get("visible")
        words = {True: (NOT, "a visible difference"), False: (HOLDS, "no visible difference")}
        return words.get(visible, (UNKNOWN, "no measure of the noise in its pictures"))
    if claim.of in ABSOLUTE and not one.is_full_size:
        return UNKNOWN, f"an absolute figure needs weights of the published size; measured with the {one.place}"
    if claim.devices and not one.is_on(claim.devices):
        return UNKNOWN, f"claimed for {' or '.join(claim.devices)}; measured on another device"
    return compare(claim, value, ci95)


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
