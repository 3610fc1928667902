"""Claims that throughput studies answer: on several workers, on long runs, on other servers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mic2e_bench.catalog import registry
from mic2e_bench.tools.claims.claims_file import Claim
from mic2e_bench.tools.claims.stored import Stored
from mic2e_bench.tools.throughput import record
from mic2e_bench.tools.throughput.kind import ODD, Figure, kinds


@dataclass(frozen=True)
class Served:
    """A figure with the records behind it, as claims look at them."""

    figure: Figure
    records: tuple[Stored, ...]


def load(results: Path) -> tuple[list[Served], list[str]]:
    """What the throughput studies under ``results`` say, evidence too; and a line for each that cannot be read.

    That is one whose runs are not as its kind writes them.
    """
    studies: dict[Path, dict[str, Stored]] = {}
    for path, one in record.everywhere(results).items():
        if one.kind in kinds() and one.pipeline in registry.pipelines():
            stored = Stored(one, path.relative_to(results).as_posix())
            studies.setdefault(path.parent, {})[one.id] = stored
    found, problems = [], []
    for folder, stored in studies.items():
        records = [each.record for each in stored.values()]
        for kind in dict.fromkeys(one.kind for one in records):
            try:
                figures = kinds()[kind].figures([one for one in records if one.kind == kind])
            except ODD as error:
                problems.append(f"{folder}: {kind}: its records cannot be read: {type(error).__name__}: {error}")
                continue
            found += [Served(figure, tuple(stored[one.id] for one in figure.records)) for figure in figures]
    return found, problems


def answers(claim: Claim, served: Sequence[Served]) -> list[Served]:
    """The answers to a claim, the best first: a figure before none, full size on a GPU before the rest, as ever."""
    mine = [
        one
        for one in served
        if one.figure.of == claim.of and all(each.record.pipeline == claim.pipeline.name for each in one.records)
    ]

    def rank(one: Served) -> tuple[bool, ...]:
        first, figure = one.records[0], one.figure
        place = not first.is_full_size, not first.on_gpu
        disturbed = any(each.is_disturbed for each in one.records)
        return figure.value is None, *place, disturbed, figure.ci95 is None

    return sorted((one for one in mine if one.records), key=rank)
