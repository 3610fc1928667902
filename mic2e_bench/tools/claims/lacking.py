"""Why a claim has no answer: a run, a GPU or the published weights are missing; the command that answers."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace

from mic2e_bench.tools.claims.answers import ANYWHERE, LOADING, completed
from mic2e_bench.tools.claims.claims_file import ABSOLUTE, SERVED, Claim
from mic2e_bench.tools.claims.outcome import JudgedClaim
from mic2e_bench.tools.claims.quantities import NO_GPU, RANDOM_LOADS, RANDOM_PAINTS
from mic2e_bench.tools.claims.stored import Evidence, Stored
from mic2e_bench.tools.claims.verdicts import GPU, NOT_RUN, OPEN, UNANSWERED, WEIGHTS

OWN_WEIGHTS = ("quality", "ram_gb", "load_s")  # of these stand-ins say nothing
LONGEST = 200  # characters of a reason that a library gave


def needs_gpu(claim: Claim) -> bool:
    """Whether only a GPU can answer, by what is claimed."""
    if "CPU" in claim.devices or claim.after.get("device") == "cpu" or claim.of in LOADING:
        return False
    if claim.before is None or claim.of == "vram" or claim.of in SERVED:
        return True
    before, after = completed(claim, claim.after)
    return bool({name for name in after if before[name] != after[name]} - ANYWHERE)


def kind(claim: Claim, stored: Sequence[Stored]) -> str:
    """What is missing where no record answers. Where a GPU has measured the pipeline, nobody ran this on it."""
    if claim.of in OWN_WEIGHTS:
        return WEIGHTS
    if not needs_gpu(claim):
        return NOT_RUN
    had_one = any(one.on_gpu and one.is_measured and one.record.pipeline == claim.pipeline.name for one in stored)
    return NOT_RUN if had_one and not claim.devices and claim.of not in SERVED else GPU


def unanswered(claim: Claim, stored: Sequence[Stored], answer: Evidence, problem: str) -> JudgedClaim:
    """The outcome where this best answer has no figure."""
    verdict = kind(claim, stored)
    if problem.startswith((RANDOM_PAINTS, RANDOM_LOADS)):
        verdict = WEIGHTS
    elif problem.startswith(NO_GPU):
        verdict = GPU
    elif answer.problem and (answer.after.on_gpu or not needs_gpu(claim)):
        verdict = OPEN  # it was tried where it can be answered
    short = textwrap.shorten(problem, LONGEST, placeholder=" …")
    return JudgedClaim(claim, verdict, short, records=answer.records)


def commanded(outcome: JudgedClaim) -> JudgedClaim:
    """The outcome with the command that would answer the claim, where nothing does or only an interval is missing."""
    claim = outcome.claim
    without_interval = outcome.verdict == OPEN and outcome.ci95 is None and outcome.value is not None
    if not claim.by or not (outcome.verdict in UNANSWERED or without_interval):
        return outcome
    if claim.of in SERVED:
        command = f"mic2e-bench throughput {claim.by}"
    elif outcome.verdict == WEIGHTS:
        command = f"mic2e-bench run {claim.by} --set model=published"
    else:
        full_size = "params/full/" in claim.by and (needs_gpu(claim) or claim.of in ABSOLUTE)
        command = f"mic2e-bench run {claim.by}{' --set model=random' if full_size else ''}"
    on = " or ".join(claim.devices) if claim.devices and claim.devices != ("CPU",) else "a GPU"
    return replace(outcome, command=command, on=on if needs_gpu(claim) else "")
