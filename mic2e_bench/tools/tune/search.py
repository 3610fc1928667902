"""The search: what gains most for its seconds is looked at cheaply, and the front is then raced.

First come the baseline, the guides' presets (some under every protocol of the ladder, so that it is known what a cheap
look is worth), and what differs from the baseline in one word; then what Optuna's sampler proposes, and from enough
looks on what the forecast has most gain of for its seconds, without what was dropped. When nothing gains, or only the
race's share of the budget is left, what may be on the front climbs the ladder rung by rung. Optuna keeps every trial,
and what became of it, in the study: the same command goes on there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from mic2e_bench.tools.tune import diary
from mic2e_bench.tools.tune.budget import Allowance, still
from mic2e_bench.tools.tune.guesses import around, guesses
from mic2e_bench.tools.tune.proposals import Bench, Pair, Proposals
from mic2e_bench.tools.tune.race import LEAST_LOOKS, Race
from mic2e_bench.tools.tune.sampler import bad_values
from mic2e_bench.tools.tune.space import GridPoint
from mic2e_bench.tools.tune.spending import Spending

NOTHING = "no point that is left is forecast to move the front"
SPENT = "of the budget of {} only the finalists' share is left"
NO_END = 10**9  # trials
POOL = 24  # proposals of the sampler that wait at once


@dataclass
class Search:
    """One search. ``clock`` tells seconds; ``final_looks`` how many full looks each finalist takes at the end."""

    bench: Bench
    study: optuna.Study
    budget: Allowance
    patience: int
    most: int = 8  # finalists
    final_looks: float = 0.0  # of the full protocol, for each finalist
    clock: Callable[[], float] = lambda: monotonic()
    quiet: bool = False
    races: bool = True  # else the sampler alone proposes, from the first guesses on, and nothing is dropped
    race: Race = field(init=False)
    spending: Spending = field(init=False)
    numbers: dict[GridPoint, int] = field(init=False, default_factory=dict)  # of the trial of each point tried

    def __post_init__(self) -> None:
        bench = self.bench
        self.race = Race(bench.space, bench.names, bench.rungs, bench.worst, self.races)
        self.spending = Spending(self.budget, bench, self.race, self.most, self.final_looks, self.clock)
        self.first = list(guesses(bench.space).values())
        self.proposals = Proposals(bench, self.study, self.first)

    def run(self) -> str:
        """Search until something ends it, then race what is left; returns what ended it."""
        want = self._start()
        while not (why := self._over()):
            left = (self.budget.trials or NO_END) - self.tried
            worth = (self.race.gains, self.spending.least_gain, self.spending.for_search_s(self.tried))
            batch = self.proposals.visit(left, min(want, left), self.numbers, self.dropped[0], *worth)
            want = POOL
            if batch:
                self._measure(batch)
            elif not self._climb():
                return self._exhausted()
        self._climb()
        return why

    def _start(self) -> int:
        """First proposals in a new search; in one that goes on, what it knew. Returns how many wait at first."""
        space = self.bench.space
        self.study.set_user_attr("quantities", list(self.bench.names))
        if self.study.get_trials(deepcopy=False):
            self.spending.before_s = self.study.user_attrs.get("spent_s", 0.0)
            self.numbers = diary.recall(self.study, self.bench, self.race)
            return POOL
        star = around(space, self.first[:2]) if self.races else ()
        first = list(dict.fromkeys([*self.first, *(point for point in star if not space.why_not(point))]))
        if self.budget.trials:  # of a small budget no more than half is for what nobody proposed
            first = first[: max(len(self.first), self.budget.trials // 2)]
        diary.enqueue(self.study, space, first)
        return len(first)

    def _over(self) -> str:
        """What ends the search now; empty while it goes on."""
        if self.budget.trials and self.tried >= self.budget.trials:
            return f"the budget of {self.budget} is spent"
        if self.spending.for_search_s(self.tried) <= 0:
            return SPENT.format(self.budget)
        found = [looks[0].costs for looks in self.race.looks.values() if 0 in looks]
        if len(found) > self.patience and still(np.array(found), self.patience, self.bench.worst):
            return f"the front has not moved for {self.patience} trials"
        return ""

    def _exhausted(self) -> str:
        """What ended a search that has nothing to look at: without a forecast only time can keep points from it."""
        if not self.budget.seconds:
            return NOTHING
        return f"{NOTHING} in the time that is left" if self.races else SPENT.format(self.budget)

    def _measure(self, batch: Sequence[Pair]) -> None:
        points = [point for _, point in batch]
        found = self.bench.look(points, 0)
        for trial, point in batch:
            diary.tell(self.study, self.bench, trial, found[point])
            self.numbers[point] = trial.number
            self.race.add(point, 0, found[point])
        self._note(0, points)
        for rung in range(1, self.bench.rungs):
            if first := self._telling([point for point in points if found[point].costs is not None], rung):
                self._look(first, rung)

    def _telling(self, points: Sequence[GridPoint], rung: int) -> list[GridPoint]:
        """The first guesses to look at under a fuller protocol at once: the cheapest, no more than tell of a doubt."""
        known = sum(rung in looks for looks in self.race.looks.values())
        first = sorted((p for p in points if p in self.first), key=lambda point: self.bench.expected([point], rung))
        return first[: max(0, LEAST_LOOKS - known)]

    def _climb(self) -> bool:
        """The race: what may be on the front is looked at under the next protocol, until the full one.

        Returns whether anything was looked at.
        """
        before = self.race.looked
        for rung in range(1, self.bench.rungs):
            alive = [p for p in self.race.alive() if max(self.race.looks[p]) < rung]
            points = self.spending.affordable(alive, rung)
            if points:
                self._look(points, rung)
        return self.race.looked > before

    def _look(self, points: Sequence[GridPoint], rung: int) -> None:
        for point, look in self.bench.look(points, rung).items():
            self.race.add(point, rung, look)
            diary.tell_fuller(self.study, self.numbers[point], rung, look)
        self._note(rung, points)

    def _note(self, rung: int, points: Sequence[GridPoint]) -> None:
        """Keep what a visit changed, and tell it."""
        spent_s, trials = self.spending.spent_s, [self.numbers[point] for point in points]
        self.study.set_user_attr("spent_s", spent_s)
        more = {"spent_s": spent_s, "rung": rung, "trials": trials, "dropped": self.dropped[1]}
        diary.note(self.study, self.race, self.numbers, **more)
        if self.quiet:
            return
        left_s = self.spending.left_s(self.tried)
        what = "tried" if rung == 0 else f"tried; {len(points)} looked at again (protocol {rung + 1})"
        said = f"{self.tried} {what}, {len(self.race.front())} on the front, {len(self.race.alive())} may be"
        print(f"tune: {said} [{spent_s:.0f} s, at most about {left_s:.0f} s left]", file=sys.stderr, flush=True)

    @property
    def dropped(self) -> tuple[dict[str, set[Any]], list[str]]:
        """The values that are not proposed any more, and why (``diary.dropped``)."""
        beaten = self.race.dropped() if self.races else {}
        return diary.dropped(self.bench.space, beaten, bad_values([*self.measured, *self.failed]))

    @property
    def measured(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    @property
    def failed(self) -> list[FrozenTrial]:
        """Trials that were measured in vain, with the reason in their attribute ``failed``."""
        return [trial for trial in self.study.get_trials(deepcopy=False) if "failed" in trial.user_attrs]

    @property
    def tried(self) -> int:
        return len(self.numbers)
