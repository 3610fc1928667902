"""Two sides measured in turns until `compare` can tell, and what it says, as an answer of the search.

Everything is read from the rounds on the disk: what was measured before is not measured again, and a comparison that
was decided is decided again without a measurement.
"""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from mic2e_bench import statistics
from mic2e_bench.errors import BadInput
from mic2e_bench.tools.bisect import measured, search
from mic2e_bench.tools.bisect.measured import Asked, DidNotRun, Side
from mic2e_bench.tools.bisect.search import Answer
from mic2e_bench.tools.compare import compare
from mic2e_bench.tools.compare import text as compare_text
from mic2e_bench.tools.compare.compare import Comparison
from mic2e_bench.tools.compare.thresholds import RATIOS
from mic2e_bench.tools.compare.verdict import BETTER, INCONCLUSIVE, SAME, STATUS, WORSE, Verdict

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
                answer = answered(made, followed)
                if is_decided(made, followed, rounds):
                    break
        except (Untestable, DidNotRun) as error:
            if followed is None:
                raise BadInput(f"bisect: the study does not start on {title}: {error}") from None
            answer = Answer(search.UNKNOWN, note=f"not testable: {error}")
        self.steps.append(Step(name, title, answer, rounds if made else 0, made))
        self.steps_left = max(1, self.steps_left - 1)
        one = followed or next(iter(differing(made)), None) if made else None
        self.say(f"{title}: {answer.word}{said(answer, one)}, {rounds if made else 0} rounds")
        return self.steps[-1]

    def _looks(self, followed: Verdict | None) -> Iterator[int]:
        """After how many rounds it is looked: what needs no interval may be seen after one."""
        yield 1
        if followed is None or is_ratio(followed.metric):
            yield from (number for number in statistics.LADDER if number < self.most)
            yield self.most

    def _there(self, name: str) -> int:
        """How many rounds both sides have."""
        places = [self.folder / name / side for side in SIDES]
        has = lambda number: None not in [measured.seconds(place / f"{number:02}") for place in places]  # noqa: E731
        return next(number for number in itertools.count() if not has(number))

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


def is_ratio(metric: str) -> bool:
    return metric in RATIOS and metric != "weights"


def differing(made: Comparison) -> list[Verdict]:
    """What is checked and got worse or better, first what changed by the most of its threshold, or does not run."""
    found = [one for one in made.verdicts if one.gated and one.word in (WORSE, BETTER)]
    size = lambda one: abs(one.change) / (one.threshold or 1.0) if one.change is not None else float("inf")  # noqa: E731
    return sorted(found, key=size, reverse=True)


def same_metric(made: Comparison, followed: Verdict) -> Verdict | None:
    """The verdict on the metric and trial of another comparison's."""
    key = (followed.label, followed.metric)
    return next((one for one in made.verdicts if (one.label, one.metric) == key), None)


def is_decided(made: Comparison, followed: Verdict | None, rounds: int) -> bool:
    """Whether more rounds would tell nothing more."""
    if followed is not None:
        return answered(made, followed).word != search.UNKNOWN
    found = differing(made)
    if rounds < statistics.ENOUGH:  # speed cannot be told yet, and may have changed by more
        return any(one.metric == STATUS for one in found)
    return bool(found) or not made.open_questions


def answered(made: Comparison, followed: Verdict | None) -> Answer:
    """Whether it differs, as ``followed`` did; without one, whether anything does."""
    one = same_metric(made, followed) if followed else next(iter(differing(made)), None)
    if one is None and followed is None:
        return Answer(search.UNKNOWN if made.open_questions else search.SAME)
    if one is None:
        there = [v for v in made.verdicts if v.label == followed.label]
        failed = next((v for v in there if v.metric == STATUS), None)
        if failed:
            return Answer(search.UNKNOWN, note=f"it does not run: {failed.head}: {failed.note}")
        return Answer(search.SAME if there and followed.metric == STATUS else search.UNKNOWN)
    if followed is None or one.word == followed.word:
        return Answer(search.DIFFERS, one.change, one.ci95, one.note if one.metric == STATUS else "")
    word = search.SAME if one.word in (SAME, WORSE, BETTER) else search.UNKNOWN
    return Answer(word, one.change, one.ci95, one.note if one.word == INCONCLUSIVE else "")


def said(answer: Answer, followed: Verdict | None) -> str:
    """The change of an answer, after a comma; empty where it has none."""
    if answer.change is None:
        return f" ({answer.note})" if answer.note else ""
    unit = followed.unit if followed else "%"
    one = Verdict("", "", "", "", answer.change, answer.ci95, unit=unit)
    return f", {followed.metric if followed else 'change'} {compare_text.change(one)}"


def stored(folder: Path, name: str, make: Callable[[], object]) -> object:
    """What a file of the bisection says; it is made where it is not there."""
    path = folder / name
    if not path.exists():
        content = json.dumps(make(), indent=1)
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(content)
        part.replace(path)
    return json.loads(path.read_text())
