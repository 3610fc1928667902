"""Two sides measured in turns until `compare` can tell, and what it says, as an answer of the search.

Everything is read from the rounds on the disk: what was measured before is not measured again, and a comparison that
was decided is decided again without a measurement.
"""

from __future__ import annotations

import itertools
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from mic2e_bench import statistics
from mic2e_bench.errors import BadInput
from mic2e_bench.tools.bisect import answers, measured, search
from mic2e_bench.tools.bisect.measured import Asked, DidNotRun, Side
from mic2e_bench.tools.bisect.search import Answer
from mic2e_bench.tools.compare import compare
from mic2e_bench.tools.compare.compare import Comparison
from mic2e_bench.tools.compare.verdict import Verdict

USUAL = ("latency>5%", "memory>5%", "quality<-1%", "lpips.base>0.01")
OF_MASKS = ("latency>5%", "memory>5%", "iou<-0.01")
SIDES = ("good", "other")


class Untestable(Exception):
    """A mix that cannot be: why, in a line."""


@dataclass(frozen=True)
class Step:
    """One comparison: of what with GOOD (``title``), in how many rounds, and what came of it."""

    name: str
    title: str
    answer: Answer
    rounds: int = 0
    made: Comparison | None = None

    def as_json(self) -> dict:
        given = {"title": self.title, "word": self.answer.word, "change": self.answer.change, "ci95": self.answer.ci95}
        return {**given, "note": self.answer.note, "rounds": self.rounds, "folder": self.name}


@dataclass
class Contest:
    """What is the same in every comparison of a bisection. ``good`` makes that side ready when it is to be measured."""

    asked: Asked
    folder: Path
    good: Callable[[], Side]
    fail_on: Sequence[str]
    most: int
    measure: Callable[[Side, Path, bool], float]
    say: Callable[[str], None] = lambda line: print(f"bisect: {line}", file=sys.stderr, flush=True)
    took: list[float] = field(default_factory=list)  # seconds of each pair of rounds
    steps: list[Step] = field(default_factory=list)
    steps_left: int = 1  # at most, with the one that runs

    def step(self, name: str, title: str, other: Callable[[], Side], followed: Verdict | None = None) -> Step:
        """Measure as many rounds as it takes. ``followed``: the verdict whose metric is asked for; else any.

        Raises ``BadInput`` where GOOD itself does not run the study.
        """
        known = [step for step in self.steps if step.name == name]
        if known:
            return known[0]
        rounds, made, answer = 0, None, Answer(search.UNKNOWN)
        try:
            there = self._there(name)
            for rounds in (max(look, there) for look in self._looks(followed)):
                self._measure_up_to(rounds, name, title, other)
                made = compare.compare(*(self.folder / name / side for side in SIDES), self.fail_on, allow_missing=True)
                answer = answers.answered(made, followed)
                if answers.is_decided(made, followed, rounds):
                    break
        except (Untestable, DidNotRun) as error:
            if followed is None:
                raise BadInput(f"bisect: the study does not start on {title}: {error}") from None
            answer = Answer(search.UNKNOWN, note=f"not testable: {error}")
        self.steps.append(Step(name, title, answer, rounds if made else 0, made))
        self.steps_left = max(1, self.steps_left - 1)
        one = followed or next(iter(answers.differing(made)), None) if made else None
        self.say(f"{title}: {answer.word}{answers.said(answer, one)}, {rounds if made else 0} rounds")
        return self.steps[-1]

    def _looks(self, followed: Verdict | None) -> Iterator[int]:
        """After how many rounds it is looked: what needs no interval may be seen after one."""
        yield 1
        if followed is None or answers.is_ratio(followed.metric):
            yield from (number for number in statistics.LADDER if number < self.most)
            yield self.most

    def _there(self, name: str) -> int:
        """How many rounds both sides have."""
        places = [self.folder / name / side for side in SIDES]
        for number in itertools.count():
            if None in [measured.seconds(place / f"{number:02}") for place in places]:
                return number

    def _measure_up_to(self, rounds: int, name: str, title: str, other: Callable[[], Side]) -> None:
        for number in range(rounds):
            folders = [self.folder / name / side / f"{number:02}" for side in SIDES]
            times = [measured.seconds(folder) for folder in folders]
            if None in times:
                start = time.monotonic()
                sides = [self.good(), other()]
                for at in (0, 1) if number % 2 == 0 else (1, 0):  # base, head, head, base
                    if times[at] is None:
                        self._one(sides[at], folders[at], number == 0, at == 0)
                self.took.append(time.monotonic() - start)
                self.say(f"{title}, round {number + 1}: {self.took[-1]:.0f} s{self._left(number + 1)}")

    def _one(self, side: Side, folder: Path, is_first: bool, is_good: bool) -> None:
        try:
            self.measure(side, folder, is_first)
        except DidNotRun as error:
            shutil.rmtree(folder, ignore_errors=True)
            if is_good:
                raise BadInput(f"bisect: the study does not start on GOOD: {error}") from None
            raise
        if is_good:
            for one in measured.records(folder, self.asked.study):
                if one.status != "ok":
                    shutil.rmtree(folder, ignore_errors=True)
                    raise BadInput(f"bisect: {one.label} does not run on GOOD: {one.status}: {one.reason}")

    def _left(self, done: int) -> str:
        """How long it may go on, at what a pair of rounds took so far."""
        each = median(self.took)  # the first one compiles what it imports
        least = max(0, statistics.ENOUGH - done) + (self.steps_left - 1) * statistics.ENOUGH
        most = self.most - done + (self.steps_left - 1) * self.most
        return f"; {_time(least * each)} left where six rounds tell, {_time(most * each)} at most"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
