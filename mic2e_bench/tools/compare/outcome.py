"""The exit code of a comparison, and why it is that one."""

from __future__ import annotations

from dataclasses import dataclass

from mic2e_bench.tools.compare.compare import Comparison
from mic2e_bench.tools.compare.verdict import MISSING, STATUS, WORSE

PASSED, FAILED, OPEN = 0, 1, 3


@dataclass(frozen=True)
class Outcome:
    """``code`` is 0, 1 (something got worse, or is missing) or 3 (on request: something is inconclusive)."""

    code: int
    reason: str


def of(made: Comparison, strict: bool = False) -> Outcome:
    """``strict``: what was asked and cannot be answered is 3 and not 0."""
    worse = sum(verdict.word == WORSE for verdict in made.failures)
    missing = [verdict for verdict in made.failures if verdict.word == MISSING]
    if worse or missing:
        reasons = [f"{_counted(worse, 'checked verdict')} worse"] if worse else []
        trials = sum(verdict.metric == STATUS for verdict in missing)
        kinds = (("trial", trials, "measured on one side only"), ("metric", len(missing) - trials, "not at the head"))
        lost = [f"{_counted(count, what)} {where}" for what, count, where in kinds if count]
        accepts = " (--allow-missing accepts that)" if missing else ""
        return Outcome(FAILED, f"{'; '.join([*reasons, *lost])}{accepts}")
    if strict and made.open_questions:
        return Outcome(OPEN, f"{_counted(len(made.open_questions), 'checked verdict')} inconclusive")
    return Outcome(PASSED, "nothing that is checked got worse")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{' is' if count == 1 else 's are'}"
