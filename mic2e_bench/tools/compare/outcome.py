"""The exit code of a comparison, and why it is that one."""

from __future__ import annotations

from dataclasses import dataclass

from mic2e_bench.tools.compare.compare import Comparison
from mic2e_bench.tools.compare.verdict import MISSING, WORSE

PASSED, FAILED, OPEN = 0, 1, 3


@dataclass(frozen=True)
class Outcome:
    """``code`` is 0, 1 (something got worse, or is missing) or 3 (on request: something is inconclusive)."""

    code: int
    reason: str


def of(made: Comparison, strict: bool = False) -> Outcome:
    """``strict``: what was asked and cannot be answered is 3 and not 0."""
    worse = sum(verdict.word == WORSE for verdict in made.failures)
    missing = sum(verdict.word == MISSING for verdict in made.failures)
    if worse or missing:
        reasons = [f"{_counted(worse, 'checked verdict')} worse"] if worse else []
        one_sided = f"{_counted(missing, 'trial')} measured on one side only (--allow-missing accepts that)"
        return Outcome(FAILED, "; ".join([*reasons, *([one_sided] if missing else [])]))
    if strict and made.open_questions:
        return Outcome(OPEN, f"{_counted(len(made.open_questions), 'checked verdict')} inconclusive")
    return Outcome(PASSED, "nothing that is checked got worse")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{' is' if count == 1 else 's are'}"
