"""The records that are shared, in the order of their folders and ids."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mic2e_bench import paths, within
from mic2e_bench.errors import BadInput, unknown
from mic2e_bench.records import record
from mic2e_bench.records.record import Record
from mic2e_bench.report import frame


@dataclass(frozen=True)
class Stored:
    """Records with their files, and what was left out, a line each."""

    results: Path
    records: list[tuple[Record, Path]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def read(results: Path, studies: list[str]) -> Stored:
    """Those of these studies, or of all, with what is kept as evidence. Raises ``BadInput`` where there are none."""
    found = Stored(results, left_out=within.links_out(results, paths.EVIDENCE))
    for folder in _folders(results, studies):
        for path in record.paths(folder):
            try:
                found.records.append((record.read(path), path))
            except FileNotFoundError:  # a run has just set it aside
                continue
            except record.Damaged as error:
                if record.IDENTITY.fullmatch(path.stem):  # else it may be anybody's file
                    found.left_out.append(str(error))
    if not found.records:
        said = f" ({found.left_out[0]})" if found.left_out else ""
        raise BadInput(f"share: {results} has no records{said}. Measure first: mic2e-bench run PARAMS.")
    return found


def _folders(results: Path, studies: list[str]) -> list[Path]:
    every_one = {folder.relative_to(results).as_posix(): folder for folder in frame.stored(results)}
    for name in studies:
        if name not in every_one:
            raise unknown("study", name, every_one, f"share: {results}")
    return [every_one[name] for name in dict.fromkeys(studies)] if studies else [*every_one.values()]
