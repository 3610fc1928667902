"""What the records measured of a claim, and the verdict. The rule is in the package's docstring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mic2e_bench.records import comparable
from mic2e_bench.tools.claims.answers import answers, is_of_another_kind
from mic2e_bench.tools.claims.claims_file import ABSOLUTE, SERVED, Claim
from mic2e_bench.tools.claims.lacking import OWN_WEIGHTS, commanded, kind, needs_gpu, unanswered
from mic2e_bench.tools.claims.outcome import JudgedClaim
from mic2e_bench.tools.claims.quantities import MEASURES, pairs
from mic2e_bench.tools.claims.reach import compare, missed
from mic2e_bench.tools.claims.served import Served
from mic2e_bench.tools.claims.served import answers as answers_of_served
from mic2e_bench.tools.claims.stored import Evidence, Stored
from mic2e_bench.tools.claims.verdicts import GPU, HOLDS, NEVER, NO_FIGURE, NOT, NOT_RUN, OPEN, WEIGHTS

PUBLISHED = ("hub", "folder")  # weights whose pictures are those that a guide speaks of
FEWEST = 5  # pictures that a verdict on quality needs
DISTURBED_WHY, CPU_ONLY = "disturbed while it was measured", "measured on a CPU only: says nothing of a GPU"
LACKING = {"not interleaved": "the calls were not in turns, so there is no interval"}


def judge(claim: Claim, stored: Sequence[Stored], served: Sequence[Served] = ()) -> JudgedClaim:
    """The best answer that the records, and the figures of throughput studies, have for a claim; the verdict on it."""
    found = _judged(claim, stored, served)
    if found.verdict == NOT:
        found = replace(found, why="; ".join(filter(None, [found.why, missed(claim, found.value, found.records)])))
    return commanded(found)


def _judged(claim: Claim, stored: Sequence[Stored], served: Sequence[Served]) -> JudgedClaim:
    if claim.obstacle:
        return JudgedClaim(claim, NEVER, claim.obstacle)
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
        first = first or unanswered(claim, stored, answer, problem)
    return first or JudgedClaim(claim, kind(claim, stored), why)


def _served(claim: Claim, found: Sequence[Served]) -> JudgedClaim:
    """What throughput studies say: on a CPU nothing of a GPU, for there the workers share what GPUs have each."""
    if not found:
        return JudgedClaim(claim, kind(claim, ()), f"no throughput study of {claim.pipeline.name} says it")
    figure, records = found[0].figure, found[0].records
    if figure.value is None:
        return JudgedClaim(claim, OPEN if records[0].on_gpu else GPU, figure.why, records=records)
    if not claim.has_figure:
        verdict, why = NO_FIGURE, ""
    elif not records[0].on_gpu:
        verdict, why = GPU, CPU_ONLY
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
            why = f"{part.claim.pipeline.name}: {part.why}"
            return JudgedClaim(claim, part.verdict, why, records=part.records)
    records = tuple(part.records[0] for part in parts)
    value, remark = sum(part.value for part in parts), "the sum of separate peaks, an upper bound"
    small = next((one for one in records if not one.is_full_size), None)
    verdict, why = OPEN, "the sum is above the claim, and no record holds all at once"
    if small:
        verdict, why = GPU, f"weights of the published size are needed; measured with the {small.place}"
    elif any(one.is_disturbed for one in records):
        return JudgedClaim(claim, OPEN, DISTURBED_WHY, value, None, records, remark)
    elif compare(claim, [value, value]) == HOLDS:
        return JudgedClaim(claim, HOLDS, "", value, None, records, remark)
    return JudgedClaim(claim, verdict, why, value, None, records, remark)


def _verdict(claim: Claim, answer: Evidence, ci95: Sequence[float] | None, lacking: str) -> tuple[str, str]:
    """The verdict on a figure by its interval, and why; ``lacking`` says why it has none."""
    one = answer.after
    if not claim.has_figure:
        return NO_FIGURE, ""
    if claim.of in ABSOLUTE and not one.is_full_size:
        verdict = WEIGHTS if claim.of in OWN_WEIGHTS else GPU if needs_gpu(claim) else NOT_RUN
        return verdict, f"an absolute figure needs weights of the published size; measured with the {one.place}"
    if claim.devices and not one.is_on(claim.devices):
        return GPU, f"claimed for {' or '.join(claim.devices)}; measured on {one.device}"
    if is_of_another_kind(claim, answer):
        return GPU, CPU_ONLY
    if any(each.is_disturbed for each in answer.records):
        return OPEN, DISTURBED_WHY
    if claim.of == "quality":
        if claim.low != 100 and one.record.model["source"] not in PUBLISHED:
            return WEIGHTS, f"measured with the {one.weights}"
        told = comparable.told(one.record)
        if pairs(one) < FEWEST or told == "too few":
            return OPEN, "too few pictures"
        if claim.low == claim.high == 100:
            words = {"visible": (NOT, "a visible difference"), "same": (HOLDS, "the same pictures")}
            words |= {"rounding": (HOLDS, "no difference beyond rounding")}
            return words.get(told, (OPEN, "no measure of the rounding in its pictures"))
    return (compare(claim, ci95), "") if ci95 else (OPEN, LACKING.get(lacking, lacking))
