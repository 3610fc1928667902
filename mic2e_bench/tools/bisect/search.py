"""The search itself, which measures nothing: it asks which parts of an update make a difference, and with what it ends.

The smallest set is found from prefixes of the candidates: the first prefix that differs ends with one that is needed.
If that one alone does not differ, the search goes on for what it needs beside it, in what lies before it. So each
member is needed: without it the rest was seen not to differ, or is a part of what was. One of n takes about log2(n)
steps; m that differ only together, about m log2(n). That is delta debugging (Zeller and Hildebrandt, "Simplifying and
Isolating Failure-Inducing Input", 2002) in the order of QuickXplain (Junker, 2004), which asks less often.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

DIFFERS, SAME, UNKNOWN = "differs", "same", "unknown"
CLEARLY = 0.9  # of the whole: what explains less leaves something to look for


@dataclass(frozen=True)
class Answer:
    """Whether a part of the update makes the difference, and its change with its interval, where it has one."""

    word: str
    change: float | None = None
    ci95: tuple[float, float] | None = None
    note: str = ""


@dataclass(frozen=True)
class Culprit:
    """``members`` differ together, and no part of them does. Not ``is_sure``: what it is was narrowed down to them, and
    more could not be told.
    """

    members: tuple[int, ...]
    answer: Answer
    is_sure: bool = True


Ask = Callable[[frozenset[int]], Answer]  # of the candidates that are updated


def most_steps(count: int) -> int:
    """The most steps for one culprit among so many."""
    return math.ceil(math.log2(count)) + 1 if count > 1 else 0


def first(low: int, high: int, ask: Callable[[int], Answer]) -> tuple[int, int]:
    """Neighbours between which the answer turns: ``low`` does not differ and ``high`` does, as it is known of the ends.

    What cannot be told is passed over; where only such is left between the two, they are no neighbours.
    """
    passed: set[int] = set()
    while between := [number for number in range(low + 1, high) if number not in passed]:
        middle = min(between, key=lambda number: abs(2 * number - low - high))
        word = ask(middle).word
        if word == DIFFERS:
            high = middle
        elif word == SAME:
            low = middle
        else:
            passed.add(middle)
    return low, high


def smallest(candidates: Iterable[int], whole: Answer, ask: Ask) -> Culprit:
    """The smallest set that differs by itself, of ``candidates`` which together differ as ``whole`` says."""
    fixed: list[int] = []
    left = list(candidates)
    answer = whole
    while True:
        known = {len(left): answer}  # of each prefix of what is left, beside what is fixed

        def of_prefix(number: int, known: dict[int, Answer] = known, left: Sequence[int] = tuple(left)) -> Answer:
            known[number] = ask(frozenset([*fixed, *left[:number]]))
            return known[number]

        low, high = first(0, len(left), of_prefix)
        answer = known[high]
        if high - low > 1:
            return Culprit(tuple(sorted([*fixed, *left[low:high]])), answer, is_sure=False)
        fixed.append(left[low])
        left = left[:low]
        if not left:
            return Culprit(tuple(sorted(fixed)), answer)
        alone = ask(frozenset(fixed))
        if alone.word == DIFFERS:
            return Culprit(tuple(sorted(fixed)), alone)
        if alone.word == UNKNOWN:
            return Culprit(tuple(sorted([*fixed, *left])), answer, is_sure=False)


def all_of(count: int, whole: Answer, ask: Ask) -> list[Culprit]:
    """Every culprit among so many: where one explains clearly less than the whole, the rest of them is asked, too."""
    found: list[Culprit] = []
    rest, answer = list(range(count)), whole
    while True:
        found.append(smallest(rest, answer, ask))
        rest = [one for one in rest if one not in found[-1].members]
        if not rest or not found[-1].is_sure or not leaves(found, whole):
            return found
        answer = ask(frozenset(rest))
        if answer.word != DIFFERS:
            return found


def leaves(found: Sequence[Culprit], whole: Answer) -> bool:
    """Whether what was found explains clearly less than the whole change."""
    if whole.change is None or any(one.answer.change is None for one in found):
        return False
    most = sum(max(map(abs, one.answer.ci95 or [one.answer.change])) for one in found)
    return most < CLEARLY * min(map(abs, whole.ci95 or [whole.change]))
