"""The page beside the packed records: what was measured, what is left, where. Markdown, from the records alone."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mic2e_bench import texts, units
from mic2e_bench.catalog.metrics.latency import spread
from mic2e_bench.plan.trial import grouped
from mic2e_bench.records import record
from mic2e_bench.records.comparable import memory_of
from mic2e_bench.records.record import Record
from mic2e_bench.tools.budget.budget import left_of
from mic2e_bench.version import VERSION

if TYPE_CHECKING:
    from mic2e_bench.plan.params import Study
    from mic2e_bench.tools.budget.budget import Budget


def text(studies: Sequence[Study], results: Path, budget: Budget | None = None) -> str:
    """The whole page."""
    found = {study.name: [one for path in record.paths(results / study.name) if (one := record.read_if_there(path))]
             for study in studies}  # fmt: skip
    lines = ["# Measured with mic2e-bench", "", f"mic2e-bench {VERSION}."]
    lines += _machines([one for records in found.values() for one in records])
    left = [trial for study in studies for trial in left_of(study, results)]
    if budget and left:
        seconds = sum(map(budget.durations.group_s, grouped(left)))
        verb = "trial is" if len(left) == 1 else "trials are"
        lines += ["", f"{len(left)} {verb} left: about {units.duration(seconds)}, estimated."]
    for study in studies:
        lines += ["", *_study(study, found[study.name], len(left_of(study, results)))]
    return "\n".join(lines) + "\n"


def _machines(records: Sequence[Record]) -> Iterator[str]:
    """Each machine with the packages, once."""
    seen: dict[str, None] = {}
    for here in (one.environment for one in records):
        packages = ", ".join(f"{name} {version}" for name, version in (here.get("packages") or {}).items())
        place = f"{here.get('device')}, driver {here.get('driver') or 'none'}, Python {here.get('python')}"
        seen[texts.markdown(f"{place}, commit {here.get('git') or 'unknown'}; {packages}.")] = None
    yield from seen or ["No record yet."]


def _study(study: Study, records: Sequence[Record], left: int) -> Iterator[str]:
    counts = Counter(one.status for one in records)
    statuses = ", ".join(f"{count} {status}" for status, count in counts.most_common()) or "no record yet"
    yield f"## {study.name}"
    yield ""
    yield f"{len(records)} of {len(study.trials)} trials: {statuses}; {left} left."
    known = {one.id: one for one in records}
    ordered = [known[trial.id] for trial in study.trials if trial.id in known]
    if ordered:
        yield ""
        yield "| trial | id | status | latency (median ± half the quartiles' distance) | peak VRAM, or RSS | weights |"
        yield "| :--- | :--- | :--- | ---: | ---: | ---: |"
        yield from map(_row, ordered)


def _row(one: Record) -> str:
    samples, sizes = one.latency_s, (one.memory.get(memory_of(one)), one.memory.get("weights_bytes"))
    latency = units.write(statistics.median(samples), "s") if samples else ""
    if len(samples) >= 3:
        latency += f" ± {100 * spread(list(samples)):.0f} %"
    reason = f": {one.reason[:200]}" if one.reason else ""
    cells = [one.label, one.id, one.status + reason, latency,
             *(units.write(value, "B") if value else "" for value in sizes)]  # fmt: skip
    return f"| {' | '.join(map(texts.markdown, map(str, cells)))} |"
