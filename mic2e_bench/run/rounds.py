"""Interleaved timing: trials take turns, one call each a round, so that what slows the machine slows them all.

Trials of one build share a child, as ever (``kept``); the children of all builds of a study are alive side by side,
which takes the memory of all. With ``builds`` the rounds go on in fresh processes of all of them, the ones before
having ended, and the baseline is there twice: how far it is from itself, in a process of its own, is what no speed-up
of these rounds can be told from. After an interrupt they go on with the next build (``unfinished``).
What runs out of memory beside the others may fit by itself: it is tried alone after them, in rounds of its own.
"""

from __future__ import annotations

import random
import sys
import uuid
from pathlib import Path
from typing import Any

from mic2e_bench.plan.trial import Group, Trial
from mic2e_bench.run import sampling, unfinished
from mic2e_bench.run.kept import Kept, Placebo
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
    first, folder = groups[0][0], outcomes.results / groups[0][0].study
    done = unfinished.read(folder, groups)
    try:
        if done:
            groups = _taken_up(done, groups, outcomes, kept)
        else:
            _prepared(groups, outcomes, kept, crowded is not None)
            groups = []
        _rounds(kept, first, folder, done.get("builds", 0))
        (folder / unfinished.NAME).unlink(missing_ok=True)
    except KeyboardInterrupt:
        print(f"\n{first.study}: interrupted in its rounds, which go on after the last finished build", file=sys.stderr)
        raise
    finally:
        for child in kept:
            child.close()
    if crowded is not None:
        crowded += [child.crowded for child in kept if child.crowded]
    return [*groups, *([*child.left.values(), *child.again] for child in kept if child.left or child.again)]


def _prepared(groups: list[Group], outcomes: Outcomes, kept: list[Kept], crowds: bool) -> None:
    """A child for each build, and the placebo; ``crowds``: they may be too many for the memory."""
    for group in groups:
        while group := outcomes.without_skipped(group):
            kept.append(Kept(group, outcomes))
            kept[-1].company = kept if crowds else []
            group = kept[-1].prepare()
    base = outcomes.baseline
    if beside := [child for child in kept if base and base.id in child.parts and base.protocol.get("builds", 1) > 1]:
        kept.append(Placebo([base], outcomes))  # the last: where memory is short, it is what does not fit
        beside[0].placebo = kept[-1]
        kept[-1].prepare()


def _taken_up(done: dict[str, Any], groups: list[Group], outcomes: Outcomes, kept: list[Kept]) -> list[Group]:
    """The children of rounds that were interrupted, not yet built; returns the trials that had left the rounds."""
    trials = {trial.id: trial for group in groups for trial in group}
    print(f"{groups[0][0].study}: its rounds go on after build {done['builds']}", file=sys.stderr)
    for said in done["children"]:
        if said["role"]:
            kept.append(Placebo([outcomes.baseline], outcomes))  # the last: the child that has the baseline is there
            next(child for child in kept if outcomes.baseline.id in child.parts).placebo = kept[-1]
        else:
            kept.append(Kept([trials.pop(id) for id in said["parts"]], outcomes))
        kept[-1].take_up(said)
    return [left for group in groups if (left := [trial for trial in group if trial.id in trials])]


def _rounds(kept: list[Kept], first: Trial, folder: Path, done: int) -> None:
    """One call of every trial in random order, again and again, until all have enough; then their records.

    ``done`` builds have made their calls before.
    """
    rule, builds, ended = first.protocol["repeats"], first.protocol.get("builds", 1), ""
    order = random.Random(f"{first.study}{done or ''}")
    for build in range(done, builds):
        if not any(child.parts for child in kept if not child.role):
            break  # what is left is the placebo of nothing
        if build:
            unfinished.write(folder, build, [child.so_far() for child in kept if child.parts], first)
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
