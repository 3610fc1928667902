"""What a reader must know beside the verdicts: trials of one side only, versions, disturbed and damaged records."""

from __future__ import annotations

from collections.abc import Sequence

from mic2e_bench.records.comparable import disturbed
from mic2e_bench.tools.compare.match import Matches, Results

MOST_NAMED = 10  # of one kind; trials that are missing are among the verdicts, too


def of(one: Results, other: Results, matches: Matches, across: bool) -> list[str]:
    """A line each; ``across``: the two sides are of two machines."""
    found = [f"only in the base: {trial.study} {trial.label} ({reason})" for trial, reason in matches.gone]
    found += [f"only in the head: {trial.study} {trial.label}" for trial, _ in matches.new]
    found = _first(found, "trials of one side only")
    mine, theirs = (_versions(side) for side in (one, other))
    if moved := [f"{n} {mine.get(n)} → {theirs.get(n)}" for n in {**mine, **theirs} if mine.get(n) != theirs.get(n)]:
        found.append(f"other versions: {', '.join(moved)}")
    for name, side in (("base", one), ("head", other)):
        runs = [run for trial in side.trials for run in trial.runs]
        if said := [text for run in runs if (text := "; ".join(disturbed(run.record)))]:
            found.append(f"{name}: {len(said)} of {len(runs)} records were disturbed (such as: {said[0]})")
        found += [f"{name}: left out: {text}" for text in _first(side.damaged, "damaged files")]
    return [*found, "each trial is a ratio to its own side's baseline"] if across else found


def _first(texts: Sequence[str], what: str) -> list[str]:
    """As many as are read, and how many more there are."""
    more = len(texts) - MOST_NAMED
    return [*texts[:MOST_NAMED], *([f"and {more} more {what}"] if more > 0 else [])]


def _versions(side: Results) -> dict[str, str]:
    here = side.trials[0].record.environment
    return {"Python": here.get("python"), **here.get("packages", {})}
