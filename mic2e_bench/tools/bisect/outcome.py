"""What a bisection ends with, as text and as JSON.

schema    1; a later one may add keys to it
answer    ``none``, ``noise``, ``culprit``, ``together``, ``several`` or ``narrowed``; ``exit`` the exit code
said      the same in words
followed  the metric and trial that were asked for in each step, and their change from GOOD to BAD
culprits  what makes the difference: ``what`` (packages with their versions, or commits), its change, ``also`` what
          else of it got worse or better
steps     every comparison: what with GOOD, the word, change and interval, rounds, and its folder
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mic2e_bench import files
from mic2e_bench.tools.bisect import answers, search
from mic2e_bench.tools.bisect.contest import Contest, Step
from mic2e_bench.tools.bisect.search import Answer
from mic2e_bench.tools.compare import text as compare_text
from mic2e_bench.tools.compare.compare import Comparison
from mic2e_bench.tools.compare.verdict import SAME, STATUS, Verdict

NONE, NOISE, CULPRIT, TOGETHER, SEVERAL, NARROWED = "none", "noise", "culprit", "together", "several", "narrowed"
EXITS = {NONE: 0, CULPRIT: 1, TOGETHER: 1, SEVERAL: 1, NOISE: 3, NARROWED: 3}


@dataclass(frozen=True)
class Blamed:
    """What makes the difference, or part of it: packages or a commit, in ``groups`` that could be told apart."""

    what: tuple[str, ...]
    groups: int
    is_sure: bool
    answer: Answer
    made: Comparison | None


@dataclass(frozen=True)
class Outcome:
    """The answer. ``followed`` is the verdict on GOOD against BAD that each step asked for."""

    word: str
    whole: Step
    followed: Verdict | None
    culprits: tuple[Blamed, ...]
    steps: tuple[Step, ...]
    remarks: tuple[str, ...] = ()

    @classmethod
    def without(cls, whole: Step, made: Contest) -> Outcome:
        """Where GOOD and BAD do not differ, or it cannot be told."""
        return cls(NONE if whole.answer.word == search.SAME else NOISE, whole, None, (), tuple(made.steps))

    @classmethod
    def of(
        cls, whole: Step, followed: Verdict, culprits: Sequence[Blamed], made: Contest, remarks: Sequence[str]
    ) -> Outcome:
        word = CULPRIT if culprits[0].groups == 1 else TOGETHER
        if not all(one.is_sure for one in culprits):
            word = NARROWED
        elif len(culprits) > 1:
            word = SEVERAL
        return cls(word, whole, followed, tuple(culprits), tuple(made.steps), tuple(remarks))

    @property
    def exit(self) -> int:
        return EXITS[self.word]

    @property
    def rounds(self) -> int:
        """Rounds of all comparisons; each is one of both sides."""
        return sum(step.rounds for step in self.steps)

    @property
    def mixes(self) -> int:
        """Steps: the comparisons but that of GOOD with BAD."""
        return len(self.steps) - 1


def text(made: Outcome) -> str:
    """The answer first, then what it rests on."""
    lines = [said(made)]
    if made.followed:
        lines.append(f"GOOD to BAD: {_change(made.followed)} ({made.followed.study} {made.followed.label})")
    for one in made.culprits:
        lines += [f"it also changed {_change(other)} ({other.label})" for other in also(one, made.followed)]
    lines += disturbed(made)
    lines += [f"{step.title}: {step.answer.word}{answers.said(step.answer, made.followed)}" for step in made.steps[1:]]
    counted = f"steps after that of GOOD with BAD: {made.mixes}; {made.rounds} rounds of both sides"
    return "\n".join([*lines, *made.remarks, counted])


def disturbed(made: Outcome) -> list[str]:
    """What other work did to the rounds of GOOD and BAD: more of them are needed then, or a quieter machine."""
    return [line for line in made.whole.made.remarks if " disturbed " in line]


def said(made: Outcome) -> str:
    """The answer in a sentence or two."""
    if made.word == NONE:
        return f"no difference: {'; '.join(_checked(made.whole.made))}, after {made.whole.rounds} rounds"
    if made.word == NOISE:
        return f"within the noise: {'; '.join(_open(made.whole.made))}, after {made.whole.rounds} rounds; {_more(made)}"
    words = [_blamed(one, made.followed) for one in made.culprits]
    if made.word == TOGETHER:
        return f"only together: {words[0]}"
    if made.word == NARROWED:
        return f"not narrowed down further: {'; '.join(words)}. More rounds may tell: --most-rounds"
    if made.word == SEVERAL:
        return f"{len(words)} by themselves: {'; '.join(words)}"
    return words[0]


def _blamed(one: Blamed, followed: Verdict) -> str:
    what = (" and " if one.is_sure else ", ").join(one.what)
    if one.answer.change is None:
        return f"{what}: {followed.label} no longer runs ({one.answer.note})"
    return f"{what}: {answers.said(one.answer, followed).removeprefix(', ')} ({followed.label})"


def also(one: Blamed, followed: Verdict) -> list[Verdict]:
    """What else got worse or better with a culprit."""
    found = answers.differing(one.made) if one.made else []
    return [other for other in found if (other.label, other.metric) != (followed.label, followed.metric)]


def _change(one: Verdict) -> str:
    return f"{one.metric} {compare_text.change(one)}, {one.word}"


def _checked(made: Comparison) -> list[str]:
    """The largest change of each metric that is checked."""
    found: dict[str, Verdict] = {}
    for one in made.verdicts:
        if one.gated and one.word == SAME and one.change is not None:
            found[one.metric] = max(found.get(one.metric, one), one, key=lambda each: abs(each.change))
    return [f"{one.metric} {compare_text.change(one)}" for one in found.values()] or ["nothing that is checked changed"]


def _open(made: Comparison) -> list[str]:
    return [f"{one.metric} {compare_text.change(one)} ({one.label})" for one in made.open_questions]


def _more(made: Outcome) -> str:
    """How many more rounds would tell."""
    asked = {(one.label, one.metric) for one in made.whole.made.open_questions}
    powers = [one for one in made.whole.made.power if (one.label, one.metric) in asked and one.metric != STATUS]
    if not powers or any(one.needed is None for one in powers):
        return "more than 48 rounds would tell: a quieter machine, or more repeats a round, does"
    more = max(one.needed for one in powers) - made.whole.rounds
    if more <= 0:
        return "so many rounds tell the threshold from nothing, and this lies near it: ask for another (--fail-on)"
    return f"about {more} more rounds would tell: --most-rounds {more + made.whole.rounds}"


def as_json(made: Outcome) -> bytes:
    """The object that the head of this file explains."""
    one = made.followed
    followed = one and {"label": one.label, "metric": one.metric, "word": one.word, "change": one.change,
                        "ci95": one.ci95, "unit": one.unit, "threshold": one.threshold}  # fmt: skip
    content: dict[str, Any] = {
        "schema": 1,
        "answer": made.word,
        "exit": made.exit,
        "said": said(made),
        "followed": followed,
        "culprits": [
            {"what": list(each.what), "is_sure": each.is_sure, "change": each.answer.change, "ci95": each.answer.ci95,
             "also": [{"label": v.label, "metric": v.metric, "word": v.word, "change": v.change, "ci95": v.ci95}
                      for v in also(each, one)]}
            for each in made.culprits
        ],
        "steps": [step.as_json() for step in made.steps],
        "rounds": made.rounds,
        "remarks": [*disturbed(made), *made.remarks],
    }  # fmt: skip
    return files.as_json(content)
