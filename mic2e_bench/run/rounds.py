"""Interleaved timing: trials take turns, one call each a round, so that what slows the machine slows them all.

Trials of one build share a child, as ever; the children of all builds of a study are kept alive side by side, which
takes the memory of all. A child makes one call when it is named and sleeps until the next time; the parent waits.
With ``builds`` the rounds go on in fresh processes of all of them, the ones before having ended, and the baseline is
there twice: how far it is from itself, in a process of its own, is what no speed-up of these rounds can be told from.
What runs out of memory beside the others may fit by itself: it is tried alone after them, in rounds of its own.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
import uuid
from collections.abc import Mapping
from typing import Any

from mic2e_bench.catalog.toggles import wait_policy
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
    protocol = groups[0][0].protocol
    try:
        for group in groups:
            while group := outcomes.without_skipped(group):
                kept.append(Kept(group, outcomes))
                kept[-1].company = kept if crowded is not None else []
                group = kept[-1].prepare()
        base = outcomes.baseline
        if beside := [child for child in kept if base and base.id in child.parts and protocol.get("builds", 1) > 1]:
            kept.append(Placebo([base], outcomes))  # the last: where memory is short, it is what does not fit
            beside[0].placebo = kept[-1]
            kept[-1].prepare()
        _rounds(kept, protocol, groups[0][0].study)
    except KeyboardInterrupt:
        name = groups[0][0].study
        print(f"\n{name}: interrupted in its rounds, which belong together: they start anew", file=sys.stderr)
        raise
    finally:
        for child in kept:
            child.close()
    if crowded is not None:
        crowded += [child.crowded for child in kept if child.crowded]
    return [[*child.left.values(), *child.again] for child in kept if child.left or child.again]


def _rounds(kept: list[Kept], protocol: Mapping[str, Any], study: str) -> None:
    """One call of every trial in random order, again and again, until all have enough; then their records."""
    rule, builds, order, ended = protocol["repeats"], protocol.get("builds", 1), random.Random(study), ""
    for build in range(builds):
        if not any(child.parts for child in kept if not child.role):
            break  # what is left is the placebo of nothing
        if build:
            for child in kept:
                child.close()
            for child in order.sample(kept, len(kept)):  # who waits longest for its call, with cold caches, changes
                child.build_again()
        enough, ended = rule if builds == 1 else rule * (build + 1) // builds, ""
        while not ended and (turns := [(child, id) for child in kept for id in child.parts]):
            order.shuffle(turns)
            for turn, (child, id) in enumerate(turns):
                if id in child.parts:  # unless its child has just died on another trial
                    child.call(id, build, turn)
            if together := [child.parts[id]["timing"]["latency_s"] for child in kept for id in child.parts]:
                ended = sampling.enough(enough, *together)
    name = uuid.uuid4().hex[:12]
    for child in kept:
        child.finish(name, ended)


class Kept(Child):
    """A child that loads and warms up its trials, and then makes one timed call at a time.

    ``parts`` holds what the records will have, by trial id; ``ready`` are the trials that the process has warmed up,
    ``turn`` is the one that is called. ``company`` are the children of the same rounds, ``crowded`` the trials that
    found no memory beside them; ``placebo`` belongs to the one that has the baseline.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.parts: dict[str, dict[str, Any]] = {}
        self.ready: set[str] = set()
        self.turn: str | None = None
        self.company: list[Kept] = []
        self.crowded: Group = []
        self.placebo: Placebo | None = None
        self.since = self.started, self.watch, self.log

    @property
    def current(self) -> Trial:
        return self.left[self.turn or next(id for id in self.left if id not in self.ready)]

    def prepare(self) -> Group:
        """All but the timed calls; returns the trials that a fresh child must take, where this one died."""
        if self._warm():
            return []
        group, self.left = list(self.left.values()), {}
        return group

    def build_again(self) -> None:
        """Go on in a fresh process, warmed up. One that dies of it takes its trials out of the rounds."""
        if self.parts:
            self.turn, self.ready, self.log = None, set(), self.log.with_name(f"{self.since[2].stem}.later.log")
            self.begin(None)
            self._warm()

    def _warm(self) -> bool:
        """Wait until all trials are ready; returns whether the process has lived to that."""
        while self.left.keys() - self.ready:
            if not self._step():
                self._give_up()
                return False
        self._signal("SIGSTOP")
        return True

    def call(self, id: str, build: int, turn: int) -> None:
        """One timed call, the ``turn``-th of its round. A child that dies of it takes its trials out of the rounds."""
        self.turn, self.deadline = id, time.monotonic() + self.timeout_s
        timing = self.parts[id]["timing"]
        self.stage = f"round {len(timing['latency_s']) + 1}"
        self.progress.at(self.current, self.stage, 0)
        self._signal("SIGCONT")
        with contextlib.suppress(OSError):  # it is dead already: then that is what the next step finds
            self.pipe.send(id)
        if not self._step():
            self._give_up()
            return
        self._signal("SIGSTOP")
        for name, value in (("builds", build), ("turns", turn)):
            timing.setdefault(name, []).append(value)

    def finish(self, name: str, ended: str) -> None:
        """Write the records; those with the same ``name`` have their samples from the same rounds, in their order."""
        for id, parts in list(self.parts.items()):
            timing = parts["timing"]
            timing |= {"rounds": name, "ended_by": {**timing["ended_by"], "repeats": ended}}
            timing |= {"calls_s": timing["calls_s"] + sum(timing["latency_s"]), **sampling.judge(timing)}
            if self.placebo and id == self.outcomes.baseline.id:
                timing |= self.placebo.said(timing["latency_s"])
            self.started, self.watch, self.log = self.since
            super()._done(id, parts)

    def _done(self, id: str, parts: dict[str, Any]) -> None:
        """What was asked for is there: in the rounds a timed call, before them all the rest."""
        mine = self.parts.setdefault(id, parts)
        if self.turn is None:
            self.ready.add(id)
            faults = parts["invalid"]
        else:
            faults = [f"{line} in a timed call" for line in parts.pop("faults")]
            sampling.add(mine["timing"], parts)
        mine["invalid"] += [line for line in faults if line not in mine["invalid"]]

    def _write(self, id: str, status: str, reason: str, **parts: Any) -> None:
        self.parts.pop(id, None)
        if status == "oom" and any(child is not self and child.process.is_alive() for child in self.company):
            self.crowded.append(self.left.pop(id))
            return
        super()._write(id, status, reason, **parts)

    def _give_up(self) -> None:
        self.process.kill()
        self.parts.clear()

    def _signal(self, name: str) -> None:
        """Let the process sleep between its calls where its threads would spin beside the calls of the others."""
        if any(wait_policy.of(trial.settings) == "active" for trial in self.left.values()):
            with contextlib.suppress(OSError):
                os.kill(self.process.pid, getattr(signal, name))


class Placebo(Kept):
    """The study's baseline a second time, in a process of its own, without a record of its own."""

    role, why = "placebo", ""

    def said(self, latency_s: list[float]) -> dict[str, Any]:
        """What the baseline's record has of it: a sample for each of the baseline's, or why there is none."""
        samples = [one for parts in self.parts.values() for one in parts["timing"]["latency_s"]]
        return {"placebo_s": samples} if len(samples) == len(latency_s) else {"placebo_failed": self.why}

    def finish(self, name: str, ended: str) -> None:
        self.left.clear()

    def _write(self, id: str, status: str, reason: str, **parts: Any) -> None:
        del self.left[id]
        self.parts.pop(id, None)
        self.why = f"{status}: {reason}"
