"""What one side measured and the other has not, trials and metrics: nothing can be said of it, so the check fails."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator

from mic2e_bench.tools.compare import changes
from mic2e_bench.tools.compare.match import Match, Matches, Rounds
from mic2e_bench.tools.compare.verdict import MISSING, STATUS, Verdict

NO_RECORD, NO_VALUE = "no record", "no value"


def verdicts(matches: Matches, allowed: bool) -> Iterator[Verdict]:
    """A verdict for each of them; ``allowed``: none lets the comparison fail."""
    for trials, name, other in ((matches.gone, "base", "head"), (matches.new, "head", "base")):
        for trial, reason in trials:
            if trial.measured:
                words = {name: trial.record.status, other: NO_RECORD}
                note = f"measured at the {name}, missing at the {other}: {reason}"
                yield Verdict(trial.study, trial.label, STATUS, MISSING, unit="", gated=not allowed, note=note,
                              **words, **took(trial))  # fmt: skip


def metrics(match: Match, names: Iterable[str], is_checked: Callable[[str], bool]) -> Iterator[Verdict]:
    """A verdict for each of these metrics that only the base has, of a trial that both sides measured."""
    for name in names:
        if (words := changes.worded(match.base, name)) and not changes.worded(match.head, name):
            note = "measured at the base, and not at the head"
            yield Verdict(match.head.study, match.head.label, name, MISSING, unit="", base=words, head=NO_VALUE,
                          gated=is_checked(name), note=note)  # fmt: skip


def took(trial: Rounds) -> dict[str, float | str]:
    """``seconds`` that the rounds of a trial took to load and to call, and when the first one ``started``."""
    found = [run.record for run in trial.runs]
    seconds = sum((one.load_s or 0.0) + (one.calls_s or sum(one.latency_s)) for one in found)
    if not seconds:  # a trial that failed: what it took until then
        seconds = sum(_between(one.environment.get("started"), one.environment.get("finished")) for one in found)
    return {"seconds": seconds, "started": str(found[0].environment.get("started") or "")}


def _between(started: object, finished: object) -> float:
    """The seconds from one time to a later one; none where one is no time."""
    try:
        ends = [datetime.datetime.fromisoformat(str(each)) for each in (started, finished)]
        return max(0.0, (ends[1] - ends[0]).total_seconds())
    except (TypeError, ValueError):
        return 0.0
