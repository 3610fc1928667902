"""A stored search as it went: visit by visit what was looked at, the front, and what was dropped and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mic2e_bench import files
from mic2e_bench.errors import BadInput
from mic2e_bench.plan.settings import show
from mic2e_bench.report.tabular import Table
from mic2e_bench.tools.recommend.pareto import nondominated
from mic2e_bench.tools.recommend.point import KIND
from mic2e_bench.units import NONE, write

MOST_ROWS = 40  # of a table; of more the first and the last


@dataclass(frozen=True)
class Visit:
    """One visit to the machine: when it ended (s), under which protocol of the ladder, and what was known after it.

    Trials are numbers of the search's trials; ``dropped`` are the values that were not proposed any more.
    """

    spent_s: float
    protocol: int
    tried: int
    looked_at: tuple[int, ...]
    front: tuple[int, ...]
    alive: tuple[int, ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class Story:
    """``costs`` (lower is better) and ``names`` of each trial that was measured, ``failed`` why others were not."""

    study: str
    quantities: tuple[str, ...]
    visits: tuple[Visit, ...]
    costs: Mapping[int, tuple[float, ...]]
    names: Mapping[int, str]
    failed: Mapping[int, str]

    def table(self) -> Table:
        """The visits in order."""
        rows, known = [], set()
        for visit in self.visits:
            new = [said for said in visit.dropped if said.partition(":")[0] not in known]
            known.update(said.partition(":")[0] for said in visit.dropped)
            counts = (len(visit.looked_at), visit.tried, len(visit.front), len(visit.alive))
            rows.append([f"{visit.spent_s:.0f} s", str(visit.protocol), *map(str, counts), "; ".join(new) or NONE])
        header = ["after", "protocol", "looked at", "tried", "front", "may be on it", "dropped from here on"]
        caption = (
            "A row is a visit: points under one protocol of the ladder, 1 the cheapest. May be on it: the "
            "front, and what noise alone keeps off it. A value that was dropped is proposed no more."
        )
        return Table(header, _shortened(rows), caption, left=(6,))

    def beaten(self) -> Table:
        """Each trial that fell out, with one of the last front that beats it in what the cheapest protocol saw."""
        last, rows = self.visits[-1], []
        for number, costs in self.costs.items():
            if number not in last.alive:
                better = next((one for one in last.front if _beats(self.costs[one], costs)), None)
                by = NONE if better is None else self.names[better]
                values = [write(abs(cost), KIND[name]) for name, cost in zip(self.quantities, costs, strict=True)]
                rows.append([self.names[number], *values, by])
        rows += [[self.names[number], *[NONE] * len(self.quantities), why] for number, why in self.failed.items()]
        caption = (
            "Settings that are not named are the baseline's. Values as one look saw them. Beaten by: a setting of the "
            "last front that is better or equal in each; a dash: none is by that one look, and fuller looks or the "
            "forecast from all others decided."
        )
        header = ["setting", *self.quantities, "beaten by, or failed"]
        return Table(header, _shortened(rows), caption, left=(0, len(header) - 1))

    def seen(self, visit: Visit) -> set[int]:
        """The trials that were measured until a visit had ended."""
        until = self.visits[: self.visits.index(visit) + 1]
        return {number for one in until for number in one.looked_at if number in self.costs}

    def stages(self, most: int = 6) -> list[Visit]:
        """Some of the visits, evenly over the time of the search, the last among them."""
        ends = np.linspace(self.visits[0].spent_s, self.visits[-1].spent_s, most)
        chosen = [next(visit for visit in self.visits if visit.spent_s >= end - 1e-9) for end in ends]
        return list({id(visit): visit for visit in chosen}.values())


def finalists(folder: Path) -> Table | None:
    """The finalists of the search in ``results/<study>``, as measured again; ``None`` where there are none."""
    path = Path(folder) / "tune" / "front.json"
    if not path.is_file():
        return None
    content = files.read_json(path)
    quality = content["quality"]
    rows = []
    for one in [content["baseline"], *content["finalists"]]:
        name = ", ".join(f"{key} {show(value)}" for key, value in one["settings"].items()) or "the baseline"
        before = NONE if one["latency_before_s"] is None else write(one["latency_before_s"], "s")
        row = [name, write(one["latency_s"], "s"), before, write(one["memory_bytes"], "B")]
        rows.append([*row, *([write(one["quality_percent"], "%")] if quality else []), one["place"]])
    header = ["setting", "latency", "in the search", "memory", *(["quality"] if quality else []), "place"]
    caption = f"Each was measured again in a process of its own. {content['stand_ins']}."
    return Table(header, rows, caption, left=(0, len(header) - 1))


def read(folder: Path) -> Story:
    """The story of the search in ``results/<study>``. Raises ``BadInput`` where there is none."""
    from mic2e_bench.tools.tune import journal, tune

    tune.require_optuna()
    where = Path(folder) / "tune"
    if not (where / journal.JOURNAL).is_file():
        raise BadInput(f"{folder}: no search is stored there: mic2e-bench tune PARAMS first.")
    study = journal.latest(where)
    kept = study.user_attrs
    visits = tuple(_visit(kept[key]) for key in sorted(kept) if key.startswith("event "))
    if not visits or "quantities" not in kept:
        raise BadInput(f"{where}: the search that is stored has looked at nothing yet, or is of an earlier version.")
    trials = [trial for trial in study.get_trials(deepcopy=False) if "look" in trial.user_attrs]
    looks = {trial.number: trial.user_attrs["look"] for trial in trials}
    names = {trial.number: _name(trial.user_attrs["differs"]) for trial in trials}
    costs = {number: tuple(look["costs"]) for number, look in looks.items() if look["costs"]}
    failed = {number: look["failed"] for number, look in looks.items() if not look["costs"]}
    return Story(Path(folder).name, tuple(kept["quantities"]), visits, costs, names, failed)


def _visit(event: Mapping[str, Any]) -> Visit:
    parts = {name: tuple(event[name]) for name in ("front", "alive", "dropped")}
    return Visit(event["spent_s"], event["rung"] + 1, event["tried"], tuple(event["trials"]), **parts)


def _name(settings: Mapping[str, Any]) -> str:
    """What differs from the baseline."""
    return ", ".join(f"{name} {show(value)}" for name, value in settings.items()) or "the baseline"


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return bool(nondominated(np.array([one, other])).tolist() == [True, False])


def _shortened(rows: list[list[Any]]) -> list[list[Any]]:
    if len(rows) <= MOST_ROWS:
        return rows
    half = MOST_ROWS // 2
    return [*rows[:half], ["…", *[""] * (len(rows[0]) - 2), f"{len(rows) - 2 * half} more"], *rows[-half:]]
