"""Interleaved timing: trials take turns, one call each a round, so that what slows the machine slows them all.

Trials of one build share a child, as ever; the children of all builds of a study are kept alive side by side, which
takes the memory of all. A child makes one call when it is named and sleeps until the next time; the parent waits.
What runs out of memory beside the others may fit by itself: it is tried alone after them, in rounds of its own.
"""

from __future__ import annotations

import contextlib
import sys
import time
import uuid
from typing import Any

from mic2e_bench.plan.trial import Group, Trial
from mic2e_bench.run import sampling
from mic2e_bench.run.child import Child
from mic2e_bench.run.outcomes import Outcomes


def measure(groups: list[Group], outcomes: Outcomes) -> list[Group]:
    """Measure the groups whose protocol interleaves; returns the others, and those that a dead child left behind."""
    mine = [group for group in groups if group[0].is_in_rounds]
    left = [group for group in groups if group not in mine]
    crowded: list[Group] = []
    while mine and outcomes.begins(mine):
        mine = _together(mine, outcomes, crowded)
    for group in crowded:
        print(f"{group[0].study} {group[0].label}: no memory beside the other builds; tried alone", file=sys.stderr)
        alone = [group]
        while alone and outcomes.begins(alone):
            alone = [each for group in alone for each in _together([group], outcomes)]
    return left


def _together(groups: list[Group], outcomes: Outcomes, crowded: list[Group] | None = None) -> list[Group]:
    """Prepare all builds one after the other, then time them in rounds; returns what a dead child left behind.

    ``crowded`` gets the trials that ran out of memory while other builds were loaded; without it they are ``oom``.
    """
    kept: list[Kept] = []
    try:
        for group in groups:
            while group := outcomes.without_skipped(group):
                kept.append(Kept(group, outcomes))
                kept[-1].company = kept if crowded is not None else []
                group = kept[-1].prepare()
        _rounds(kept, groups[0][0].protocol["repeats"])
    finally:
        for child in kept:
            child.close()
    if crowded is not None:
        crowded += [child.crowded for child in kept if child.crowded]
    return [[*child.left.values(), *child.again] for child in kept if child.left or child.again]


def _rounds(kept: list[Kept], rule: Any) -> None:
    """One call of every trial in turn, again and again, until all have enough; then their records."""
    ended = ""
    while not ended and (turns := [(child, id) for child in kept for id in child.parts]):
        for child, id in turns:
            if id in child.parts:  # unless its child has just died on another trial
                child.call(id)
        if together := [child.parts[id]["timing"]["latency_s"] for child in kept for id in child.parts]:
            ended = sampling.enough(rule, *together)
    name = uuid.uuid4().hex[:12]
    for child in kept:
        child.finish(name, ended)


class Kept(Child):
    """A child that loads and warms up its trials, and then makes one timed call at a time.

    ``parts`` holds what the records will have, by trial id; ``turn`` is the trial whose call is being made. ``company``
    are the children of the same rounds, ``crowded`` the trials that found no memory beside them.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.parts: dict[str, dict[str, Any]] = {}
        self.turn: str | None = None
        self.company: list[Kept] = []
        self.crowded: Group = []
        self.since = self.started, self.watch

    @property
    def current(self) -> Trial:
        return self.left[self.turn or next(id for id in self.left if id not in self.parts)]

    def prepare(self) -> Group:
        """All but the timed calls; returns the trials that a fresh child must take, where this one died."""
        while any(id not in self.parts for id in self.left):
            if not self._step():
                group = list(self.left.values())
                self._give_up()
                self.left.clear()
                return group
        return []

    def call(self, id: str) -> None:
        """One timed call. A child that dies of it takes its trials out of the rounds."""
        self.turn, self.deadline = id, time.monotonic() + self.timeout_s
        self.stage = f"round {len(self.parts[id]['timing']['latency_s']) + 1}"
        self.progress.at(self.current, self.stage, 0)
        with contextlib.suppress(OSError):  # it is dead already: then that is what the next step finds
            self.pipe.send(id)
        if not self._step():
            self._give_up()

    def finish(self, name: str, ended: str) -> None:
        """Write the records; those with the same ``name`` have their samples from the same rounds, in their order."""
        for id, parts in list(self.parts.items()):
            timing = parts["timing"]
            timing |= {"rounds": name, "ended_by": {**timing["ended_by"], "repeats": ended}}
            timing |= {"calls_s": timing["calls_s"] + sum(timing["latency_s"]), **sampling.judge(timing)}
            self.started, self.watch = self.since
            super()._done(id, parts)

    def _done(self, id: str, parts: dict[str, Any]) -> None:
        """What was asked for is there: in the rounds a timed call, before them all the rest."""
        if self.turn is None:
            self.parts[id] = parts
            return
        invalid = self.parts[id]["invalid"]
        invalid += [f"{line} in a timed call" for line in parts.pop("faults") if line not in invalid]
        sampling.add(self.parts[id]["timing"], parts)

    def _write(self, id: str, status: str, reason: str, **parts: Any) -> None:
        self.parts.pop(id, None)
        if status == "oom" and any(child is not self and child.process.is_alive() for child in self.company):
            self.crowded.append(self.left.pop(id))
            return
        super()._write(id, status, reason, **parts)

    def _give_up(self) -> None:
        self.process.kill()
        self.parts.clear()
