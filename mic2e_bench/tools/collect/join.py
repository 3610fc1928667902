"""``collect``: packed records are checked, then joined under ``results/evidence/<machine>/<study>/``.

Nothing is written before everything is checked. A record that is there already stays, unless it has no figures and the
new one has, or the new one is the same with more scores; ``replace`` takes the new one.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mic2e_bench import files, paths
from mic2e_bench.errors import BadInput
from mic2e_bench.records import record
from mic2e_bench.records.comparable import is_measured
from mic2e_bench.records.record import Record
from mic2e_bench.tools import verify
from mic2e_bench.tools.collect import parts

OTHER_BYTES = 256 << 10  # the most of the doctor's page, and of a log
SHOWN = 3  # problems that are named


@dataclass
class Joined:
    """What became of the records of one study on one machine."""

    machine: str
    study: str
    records: list[Record] = field(default_factory=list)
    done: Counter = field(default_factory=Counter)  # new, replaced, already there, kept
    kept: list[str] = field(default_factory=list)  # ids whose new record was not taken

    def line(self) -> str:
        statuses = Counter(one.status for one in self.records).most_common()
        done = ", ".join(f"{count} {what}" for what, count in self.done.items())
        text = f"{self.machine}/{self.study}: {len(self.records)} records ("
        text += ", ".join(f"{count} {status}" for status, count in statuses) + f"): {done}"
        if self.kept:
            text += f"; other records are there of {', '.join(self.kept[:SHOWN])}"
            text += " and more" if len(self.kept) > SHOWN else ""
            text += ", and stay: --replace takes the new ones"
        return text


def join(folder: Path, into: Path, replace: bool = False) -> list[Joined]:
    """Join the parts in ``folder``. Raises ``BadInput``; then nothing was written."""
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder. Give the one that run --pack-results wrote.")
    with tempfile.TemporaryDirectory(prefix="mic2e-bench-collect-") as place:
        packed, sorted_out = Path(place) / "packed", Path(place) / "machines"
        parts.read_all(folder, lambda name, content: _stage(packed, folder, name, content))
        joined = _by_machine(packed, sorted_out, folder)
        if not joined:
            raise BadInput(f"{folder}: its parts hold no records.")
        _check(sorted_out, folder, joined)
        for one in joined:
            _join_study(one, sorted_out / one.machine / one.study, into / one.machine / one.study, replace)
        _join_texts(packed, into, joined)
    return joined


def _stage(packed: Path, folder: Path, name: str, content: bytes) -> None:
    """Keep one packed file for the checks, where its name is one that a pack has."""
    study, _, rest = name.partition("/")
    if name == "doctor.txt" or (study == "logs" and rest.endswith(".log") and paths.is_name(rest)):
        if len(content) > OTHER_BYTES:
            raise BadInput(f"{folder}: '{name}' has {len(content)} bytes; no pack has that many of it.")
    elif not paths.is_name(study):
        raise BadInput(f"{folder}: '{name}': '{study}' is no folder name of a study.")
    elif not (parts.PICTURE.fullmatch(rest) or RECORD.fullmatch(rest)):
        raise BadInput(f"{folder}: '{name}' is nothing that a pack holds.")
    path = packed / name
    if path.exists() and RECORD.fullmatch(rest) and not _is_better(content, path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


RECORD = re.compile(r"[0-9a-f]{16}\.json")


def _is_better(content: bytes, path: Path) -> bool:
    """Of a record that comes twice, whether this one is to be taken: measured, then finished last, then scored."""

    def rank(path: Path) -> tuple[Any, ...]:
        one = record.read_if_there(path)
        return (is_measured(one), str(one.environment.get("finished")), len(one.quality)) if one else ()

    with tempfile.TemporaryDirectory(dir=path.parent) as place:
        other = Path(place) / path.name
        other.write_bytes(content)
        return rank(other) > rank(path)


def _by_machine(packed: Path, sorted_out: Path, folder: Path) -> list[Joined]:
    """The records in a results folder for each machine, with their pictures."""
    found: dict[tuple[str, str], Joined] = {}
    for path in sorted(packed.glob("*/*.json")):
        study = path.parent.name
        try:
            one = record.read(path)
        except record.Damaged as error:
            raise BadInput(f"{folder}: {study}/{path.name}: {str(error).removeprefix(str(path)).strip()}.") from None
        machine = slug(one.environment.get("device"))
        if not machine:
            raise BadInput(f"{folder}: {study}/{path.name}: the record does not say on which device it was measured.")
        joined = found.setdefault((machine, study), Joined(machine, study))
        joined.records.append(one)
        target = sorted_out / machine / study
        (target / "images").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target / path.name)
        for name in pictures(one):
            if (source := path.parent / name).is_file():
                shutil.copy(source, target / name)
    return list(found.values())


def pictures(one: Record) -> list[str]:
    """The files of a record's pictures, as far as they have the names that pictures have."""
    return [each["file"] for each in one.pictures if parts.PICTURE.fullmatch(each["file"])]


def slug(device: Any) -> str:
    """A device's name as a folder's: ``nvidia-h100-80gb-hbm3``."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")[:80] if isinstance(device, str) else ""


def _check(sorted_out: Path, folder: Path, joined: list[Joined]) -> None:
    """Everything as ``verify`` does; pictures of random weights are not packed."""
    problems: list[str] = []
    for machine in dict.fromkeys(one.machine for one in joined):
        place = sorted_out / machine
        without = {str(place / one.study / name) for one in joined if one.machine == machine
                   for each in one.records if each.model.get("source") == "random"
                   for name in pictures(each)}  # fmt: skip
        for problem in verify.studies(place).problems:
            if not any(problem.startswith(f"{path}: missing") for path in without):
                problems.append(problem.replace(f"{place}/", ""))
    if problems:
        more = f" and {len(problems) - SHOWN} more problems" if len(problems) > SHOWN else ""
        raise BadInput(f"{folder}: {'; '.join(problems[:SHOWN])}{more}. Nothing was written.")


def _join_study(joined: Joined, source: Path, target: Path, replace: bool) -> None:
    """Write what is new of one study: the pictures before the records that name them."""
    for one in joined.records:
        new, path = (source / f"{one.id}.json").read_bytes(), target / f"{one.id}.json"
        what = _decide(new, one, path, replace)
        joined.done[what] += 1
        if what == "kept":
            joined.kept.append(one.id)
        if what not in ("new", "replaced"):
            continue
        for name in pictures(one):
            if (picture := source / name).is_file():
                _write(target / name, picture.read_bytes())
        _write(path, new)


def _decide(new: bytes, one: Record, path: Path, replace: bool) -> str:
    if not path.exists():
        return "new"
    if path.read_bytes() == new:
        return "already there"
    old = record.read_if_there(path)
    if replace or old is None:
        return "replaced"
    if old.with_quality(one.raw["quality"]) == one:  # the same measurement
        return "replaced" if len(one.quality) > len(old.quality) else "already there"
    return "replaced" if is_measured(one) and not is_measured(old) else "kept"


def _join_texts(packed: Path, into: Path, joined: list[Joined]) -> None:
    """The doctor's page and the logs, beside the studies of the machine that measured last: it was the one to pack."""
    last = max(joined, key=lambda one: max(str(each.environment.get("finished")) for each in one.records))
    wanted = {packed / "doctor.txt": into / last.machine / "doctor.txt"}
    for one in joined:
        if one.machine == last.machine:
            wanted[packed / "logs" / f"{one.study}.log"] = into / one.machine / f"{one.study}.log"
    for source, target in wanted.items():
        if source.is_file():
            _write(target, source.read_bytes())


def _write(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        files.write_whole(path, content)
