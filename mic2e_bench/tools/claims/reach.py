"""Whether an interval reaches a claim, what figures would, and how far a figure is from it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mic2e_bench.records.comparable import VRAM
from mic2e_bench.tools.claims.claims_file import QUANTITIES, Claim
from mic2e_bench.tools.claims.quantities import WEIGHTS
from mic2e_bench.tools.claims.stored import Stored
from mic2e_bench.tools.claims.verdicts import HOLDS, NOT, OPEN
from mic2e_bench.units import digits

UNCHANGED = 0.02  # what "no change" leaves room for


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


def said(claim: Claim) -> str:
    """What figures reach the claim, in words: ``claimed 0.5× or less``."""
    unit = QUANTITIES[claim.of][2]
    if claim.of == "quality" and claim.low == 100:
        return "claimed no loss"
    low, high = reached(claim)
    words = {"×": lambda figure: f"{figure:.4g}×"}.get(unit, lambda figure: f"{figure:.4g} {unit}")
    if claim.high is None or claim.low is None:
        return f"claimed {'more' if claim.high is None else 'less'} than {words(claim.low or claim.high)}"
    if math.isinf(high):
        return f"claimed {words(low)} or more"
    if math.isinf(low):
        return f"claimed {words(high)} or less"
    return f"claimed {words(low)} to {words(high)}"


def missed(claim: Claim, value: float, records: Sequence[Stored]) -> str:
    """Why a figure does not reach its claim, as far as records say it: what is claimed, and how far off it is."""
    low, high = reached(claim)
    end = low if value < low else high
    parts = [said(claim)]
    if claim.low is not None and claim.high is not None and (away := abs(value / end - 1)) < 0.05:
        parts.append(f"missed by {100 * away:.1f} %")
    memory = records[0].record.memory if claim.of == "vram" else {}
    weights, peak = memory.get(WEIGHTS), memory.get(VRAM)
    if value > high and weights and peak and weights <= peak:
        parts.append(f"{digits(100 * weights / peak, 2)} % of the peak are the weights")
    return "; ".join(parts)
