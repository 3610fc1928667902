"""A child of rounds: it makes one call when it is named and sleeps until the next time; the parent waits."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Any

from mic2e_bench.catalog.toggles import wait_policy
from mic2e_bench.plan.trial import Group, Trial
from mic2e_bench.run import sampling
from mic2e_bench.run.child import Child


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
        self.begin()
        if self._warm():
            return []
        group, self.left = list(self.left.values()), {}
        return group

    def build_again(self) -> None:
        """Go on in a fresh process, warmed up. One that dies of it takes its trials out of the rounds."""
        if self.parts:
            self.turn, self.ready, self.log = None, set(), self.log.with_name(f"{self.since[2].stem}.later.log")
            self.begin(again=True)
            self._warm()

    def so_far(self) -> dict[str, Any]:
        """What ``take_up`` needs in another run, as JSON."""
        started, watch, log = self.since
        disturbed = watch.finish()["disturbed"]
        return {"role": self.role, "parts": self.parts, "started": started, "log": log.name, "disturbed": disturbed}

    def take_up(self, said: dict[str, Any]) -> None:
        """Be what another child was when it said ``so_far``; it has no process until it is ``build_again``."""
        self.parts, self.watch.earlier = said["parts"], said["disturbed"]
        self.since = said["started"], self.watch, self.log.with_name(said["log"])  # a name: no way out of the folder

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
