"""What the records measured of a claim, and the verdict. The rule is in the package's docstring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mic2e_bench.records import comparable
from mic2e_bench.report.footnotes import DISTURBED
from mic2e_bench.tools.claims.answers import answers, is_of_another_kind
from mic2e_bench.tools.claims.claims_file import ABSOLUTE, QUANTITIES, SERVED, Claim
from mic2e_bench.tools.claims.quantities import MEASURES, pairs
from mic2e_bench.tools.claims.served import Served
from mic2e_bench.tools.claims.served import answers as answers_of_served
from mic2e_bench.tools.claims.stored import Evidence, Stored
from mic2e_bench.units import digits

HOLDS, NOT, OPEN, UNKNOWN, NO_FIGURE = "holds", "does not", "inconclusive", "not measurable here", "no figure claimed"
UNCHANGED = 0.02  # what "no change" leaves room for
FEWEST = 5  # pictures that a verdict on quality needs
DISTURBED_WHY, CPU_ONLY = "disturbed while it was measured", "measured on a CPU only: says nothing of a GPU"


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
    def is_disturbed(self) -> bool:
        """Whether the figure rests on a record that was disturbed."""
        return self.value is not None and any(one.is_disturbed for one in self.records)

    @property
    def measured(self) -> str:
        """The figure for a cell, with its interval and its mark; or why there is none."""
        if self.value is None:
            return self.why
        unit = QUANTITIES[self.claim.of][2]
        sign = unit if unit == "×" else f" {unit}"
        low, high = map(digits, self.ci95 or (self.value, self.value))
        ends = f" ({low} to {high})" if low != high else ""
        mark = DISTURBED if self.is_disturbed else ""
        return f"{digits(self.value)}{sign}{ends}{mark}{f'; {self.remark}' if self.remark else ''}"

    @property
    def place(self) -> str:
        """With which weights and on which device it was measured."""
        return self.records[0].place if self.records and self.value is not None else ""


def judge(claim: Claim, stored: Sequence[Stored], served: Sequence[Served] = ()) -> JudgedClaim:
    """The best answer that the records, and the figures of throughput studies, have for a claim; the verdict on it."""
    if claim.obstacle:
        return JudgedClaim(claim, UNKNOWN, claim.obstacle)
    if claim.of in SERVED:
        return _served(claim, answers_of_served(claim, served))
    if claim.together:
        return _together(claim, stored)
    found, why = answers(claim, stored)
    first = None
    for answer in found:
        value, ci95, problem = (None, None, answer.problem) if answer.problem else MEASURES[claim.of](answer)
        if value is not None:
            verdict, why = _verdict(claim, answer, ci95, problem)
            return JudgedClaim(claim, verdict, why, value, ci95, answer.records, answer.remark)
        first = first or JudgedClaim(claim, UNKNOWN, problem, records=answer.records)
    return first or JudgedClaim(claim, UNKNOWN, why)


def _served(claim: Claim, found: Sequence[Served]) -> JudgedClaim:
    """What throughput studies say: on a CPU nothing of a GPU, for there the workers share what GPUs have each."""
    if not found:
        return JudgedClaim(claim, UNKNOWN, f"no throughput study of {claim.pipeline.name} says it")
    figure, records = found[0].figure, found[0].records
    if figure.value is None:
        return JudgedClaim(claim, UNKNOWN, figure.why, records=records)
    if not claim.has_figure:
        verdict, why = NO_FIGURE, ""
    elif not records[0].on_gpu:
        verdict, why = UNKNOWN, CPU_ONLY
    elif any(one.is_disturbed for one in records):
        verdict, why = OPEN, DISTURBED_WHY
    else:
        verdict, why = (compare(claim, figure.ci95), "") if figure.ci95 else (OPEN, figure.why)
    return JudgedClaim(claim, verdict, why, figure.value, figure.ci95, records, figure.remark)


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
    elif any(one.is_disturbed for one in records):
        return JudgedClaim(claim, OPEN, DISTURBED_WHY, value, None, records, remark)
    elif compare(claim, [value, value]) == HOLDS:
        return JudgedClaim(claim, HOLDS, "", value, None, records, remark)
    return JudgedClaim(claim, UNKNOWN, why, value, None, records, remark)


def _verdict(claim: Claim, answer: Evidence, ci95: Sequence[float] | None, lacking: str) -> tuple[str, str]:
    """The verdict on a figure by its interval, and why; ``lacking`` says why it has none."""
    one = answer.after
    if not claim.has_figure:
        return NO_FIGURE, ""
    if claim.of in ABSOLUTE and not one.is_full_size:
        return UNKNOWN, f"an absolute figure needs weights of the published size; measured with the {one.place}"
    if claim.devices and not one.is_on(claim.devices):
        return UNKNOWN, f"claimed for {' or '.join(claim.devices)}; measured on another device"
    if is_of_another_kind(claim, answer):
        return UNKNOWN, CPU_ONLY
    if any(each.is_disturbed for each in answer.records):
        return OPEN, DISTURBED_WHY
    if claim.of == "quality":
        told = comparable.told(one.record)
        if pairs(one) < FEWEST or told == "too few":
            return OPEN, "too few pictures"
        if claim.low == claim.high == 100:
            words = {"visible": (NOT, "a visible difference"), "same": (HOLDS, "the same pictures")}
            words |= {"rounding": (HOLDS, "no difference beyond rounding")}
            return words.get(told, (OPEN, "no measure of the rounding in its pictures"))
    return (compare(claim, ci95), "") if ci95 else (OPEN, lacking)


def compare(claim: Claim, ci95: Sequence[float]) -> str:
    """The verdict by the whole interval."""
    low, high = reached(claim)
    if low <= ci95[0] and ci95[1] <= high:
        return HOLDS
    return NOT if ci95[1] < low or high < ci95[0] else OPEN


def reached(claim: Claim) -> tuple[float, float]:
    """The least and the greatest figure that the claim is true of."""
    better, neutral, _ = QUANTITIES[claim.of]
    is_higher, low, high = better == "higher", claim.low, claim.high
    if high is None:  # faster, more: a direction without a figure
        return math.nextafter(low, math.inf), math.inf
    if low is None:
        return -math.inf, math.nextafter(high, -math.inf)
    if low == high == neutral:
        low, high = low * (1 - UNCHANGED), high * (1 + UNCHANGED)
    elif neutral is not None and (high < neutral if is_higher else low > neutral):  # a warning
        half = _last_digit(low) / 2 if low == high else 0.0
        return low - half, high + half
    return (low, math.inf) if is_higher else (-math.inf, high)


def _last_digit(figure: float) -> float:
    """What one more in the last digit of a figure is: 0.1 of 0.6."""
    return 10.0 ** -len(str(figure).partition(".")[2])
