"""How many claims hold, how many do not, and what the others lack: counted from the same outcomes as the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mic2e_bench.tools.claims.outcome import JudgedClaim
from mic2e_bench.tools.claims.verdicts import HOLDS, MEANINGS, NO_FIGURE, NOT, OPEN, PARTLY, UNANSWERED


@dataclass(frozen=True)
class Entry:
    """A claim as the score counts it: an entry of ``params/claims.yaml``, with all its figures on all its pipelines."""

    key: str
    guide: str
    words: str
    verdict: str
    outcomes: tuple[JudgedClaim, ...]


def entries(outcomes: Sequence[JudgedClaim]) -> list[Entry]:
    """The claims, in the order of their guides."""
    by_key: dict[str, list[JudgedClaim]] = {}
    for one in outcomes:
        by_key.setdefault(one.claim.key, []).append(one)
    made = []
    for key, each in by_key.items():
        claim = each[0].claim
        verdict = of_several([one.verdict for one in each])
        made.append(Entry(key, claim.guide, f"{claim.section}: {claim.what}", verdict, tuple(each)))
    return made


def of_several(verdicts: Sequence[str]) -> str:
    """The verdict on a claim by those on its figures: figures without an answer neither help nor hurt it."""
    if HOLDS in verdicts and NOT in verdicts:
        return PARTLY
    return next(word for word in (HOLDS, NOT, OPEN, *UNANSWERED, NO_FIGURE) if word in verdicts)


def counts(found: Sequence[Entry]) -> dict[str, tuple[int, int]]:
    """How many claims and how many single figures have each verdict, in the order of ``MEANINGS``."""
    figures = [one.verdict for entry in found for one in entry.outcomes]
    claims = [entry.verdict for entry in found]
    return {word: (claims.count(word), figures.count(word)) for word in MEANINGS}


def by_guide(found: Sequence[Entry]) -> dict[str, Mapping[str, int]]:
    """How many claims of each guide have each verdict."""
    guides = dict.fromkeys(entry.guide for entry in found)
    return {guide: {w: c for w, (c, _) in counts([e for e in found if e.guide == guide]).items()} for guide in guides}


def sentence(found: Sequence[Entry]) -> str:
    """The score in words: ``Of 156 claims 4 hold, ...``."""
    by_word = {word: claims for word, (claims, _) in counts(found).items()}
    plural = {
        HOLDS: "hold",
        PARTLY: "hold partly",
        NOT: "do not",
        OPEN: "are inconclusive",
        NO_FIGURE: "have no figure",
    }
    plural |= {word: word.replace("needs", "need") if "needs" in word else f"are {word}" for word in UNANSWERED}
    said = [f"{by_word[word]} {plural[word]}" for word in MEANINGS]
    return f"Of {len(found)} claims {', '.join(said[:-1])}, and {said[-1]}."
