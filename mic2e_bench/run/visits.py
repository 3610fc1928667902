"""The baseline again, in a fresh build, in the middle and at the end of trials that do not take turns: did it drift?"""

from __future__ import annotations

import sys
from typing import Any

from mic2e_bench.plan.trial import Group, grouped
from mic2e_bench.records import comparable, record
from mic2e_bench.records.record import Record
from mic2e_bench.run.child import Child
from mic2e_bench.run.outcomes import Outcomes

FEWEST = 3  # trials: two are measured right after each other


def parts(groups: list[Group], outcomes: Outcomes) -> list[list[Group]]:
    """The groups in two halves, after each of which comes a visit; in one where there are none, as of single calls."""
    base, trials = outcomes.baseline, [trial for group in groups for trial in group]
    if base is None or base.restarts or base.is_in_rounds or base.protocol["repeats"] == 1 or len(trials) < FEWEST:
        return [groups]
    middle = (len(trials) + 1) // 2
    return [grouped(trials[:middle]), grouped(trials[middle:])]


def visit(outcomes: Outcomes) -> None:
    """Time the baseline once more, where it has a record of this machine as it is now; that gets it."""
    trial = outcomes.baseline
    known = record.read_if_there(record.path_of(outcomes.results, trial.study, trial.id))
    is_known = known and known.status == "ok" and known.latency_s
    if not is_known or not comparable.is_as_here(known.environment, trial.settings["device"]):
        return
    budget = outcomes.budget
    if budget and not budget.has_time_for(budget.durations.group_s([trial])):
        print(f"{trial.study}: the budget has no time to visit the baseline again", file=sys.stderr)
        return
    visited = Visit([trial], outcomes)
    visited.run()
    if not visited.found:
        print(f"{trial.study}: the baseline could not be visited again: {visited.why}", file=sys.stderr)
        return
    timing = {**known.raw["timing"], "visits": [*known.visits, visited.found]}
    again = Record.of({**known.raw, "timing": timing})
    record.write(outcomes.results, again)
    outcomes.summary.records[trial.id] = again


class Visit(Child):
    """A child that times the baseline alone; ``found`` is what the record gets, ``why`` there is nothing."""

    role, why = "visit", ""
    found: dict[str, Any] | None = None

    def _done(self, id: str, parts: dict[str, Any]) -> None:
        del self.left[id]
        self.why = "; ".join(parts["invalid"])
        if not self.why:
            seconds, watched = parts["timing"]["latency_s"], self.watch.finish(parts["timing"]["sm_mhz"])
            self.found = {"started": self.started, "latency_s": seconds, "disturbed": watched["disturbed"]}

    def _write(self, id: str, status: str, reason: str, **parts: Any) -> None:
        del self.left[id]
        self.why = f"{status}: {reason}"
