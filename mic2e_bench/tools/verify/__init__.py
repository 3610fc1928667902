"""Is everything in a results folder what it was when it was written? Reads, and changes nothing.

A problem is a record that cannot be trusted or was edited, an image that is not the one that was made, a published
table or page that was edited or that the records no longer give. Images of random weights need not be kept; those that
are there are checked. A remark is what no record knows of, which does no harm and may be deleted, and a record whose
identity is one of before: older versions made it of less.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mic2e_bench import paths, within
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import sources
from mic2e_bench.errors import BadInput
from mic2e_bench.plan import protocol
from mic2e_bench.records import comparable, record
from mic2e_bench.report import frame, made_from
from mic2e_bench.tools.throughput import record as throughput
from mic2e_bench.tools.verify import before


@dataclass
class Verification:
    """What was found: a line for each problem and each remark, and how much was looked at."""

    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    records: int = 0
    images: int = 0
    not_kept: int = 0  # images of random weights
    unsealed: int = 0  # records without a hash of their content, which older versions wrote
    digests: dict[str, str] = field(default_factory=dict)  # of the records' contents, by path relative to the results


def everything(results: Path, tell: Callable[[int], None] = lambda count: None) -> Verification:
    """Check the studies and all that was published of them; ``tell`` as for ``studies``."""
    found = studies(results, tell)
    served, problems = throughput.problems(Path(results))
    found.records += served
    found.problems += problems
    published = tables(results)
    named = {line.partition(": ")[0] for line in (*found.problems, *published)}  # what is said once is enough
    found.problems += published
    for name, problem in made_from.problems(results, {**found.digests, **throughput.digests(Path(results))}):
        if str(results / name) not in named:
            found.problems.append(f"{results / name}: {problem}")
    found.remarks += [f"{results / name}: it is not known what it was made from" for name in made_from.unknown(results)]
    return found


def studies(results: Path, tell: Callable[[int], None] = lambda count: None) -> Verification:
    """Check every study under ``results``, those that are kept as evidence too.

    ``tell(count)`` is called with the number of files just looked at.
    """
    found = Verification(problems=within.links_out(Path(results), paths.EVIDENCE))
    for folder in frame.stored(Path(results)):
        images: dict[str, str] = {}
        needed: set[str] = set()
        for path in record.paths(folder):
            _record(path, found, images, needed, Path(results))
            tell(1)
        for name, sha256 in images.items():
            if name not in needed and not (folder / name).exists():
                found.not_kept += 1
                continue
            found.images += 1
            found.problems += image(folder / name, sha256)
            tell(1)
        found.problems += table(folder)
        found.remarks += _strangers(folder, set(images))
    return found


def _record(path: Path, found: Verification, images: dict[str, str], needed: set[str], results: Path) -> None:
    """One file: its problems, the images that it names, and those of them that must be there."""
    try:
        one = record.read(path)
    except FileNotFoundError:  # a run has just set it aside
        return
    except record.Newer as error:
        found.remarks.append(str(error))
        return
    except record.Damaged as error:
        # what is not named like a record may be anybody's file
        (found.problems if record.IDENTITY.fullmatch(path.stem) else found.remarks).append(str(error))
        return
    found.records += 1
    found.unsealed += one.sha256 is None
    found.digests[path.relative_to(results).as_posix()] = one.digest
    found.problems += [f"{path}: {problem}" for problem in content(one, path.parent.name)]
    if why := before.why(one):
        found.remarks.append(f"{path}: identity of before: {why}")
    for picture in one.pictures:
        if images.setdefault(picture["file"], picture["sha256"]) != picture["sha256"]:
            found.problems.append(f"{path}: {picture['file']} has another hash in another record")
        if not sources.pictures_may_lack(one.model):
            needed.add(picture["file"])


def content(one: record.Record, study: str) -> Iterator[str]:
    """What is wrong with a record that can be read."""
    if problem := of_identity(one):
        yield problem
    if one.study != study:
        yield f"it is of study '{one.study}'"
    unknown = set(one.settings) - {*registry.toggles(), *protocol.VARIED}
    if unknown or one.pipeline not in registry.pipelines():
        yield f"of a pipeline or settings that this version does not know: {one.pipeline} {sorted(unknown)}"
    if not comparable.is_measured(one):
        if not one.reason:
            yield f"it is '{one.status}' and gives no reason"
        return
    for part in ("receipts", "images", "environment"):
        if not getattr(one, part):
            yield f"it is '{one.status}' and has no {part}"
    if not one.latency_s:
        yield f"it is '{one.status}' and has no latency"
    if bool(comparable.unapplied(one)) == (one.status == "ok"):
        yield f"it is '{one.status}', and its receipts say otherwise"


def of_identity(one: record.Record) -> str:
    """What is wrong with a record's identity; empty where nothing is."""
    is_its_own = one.id in before.identities(one.raw["trial"])
    return "" if is_its_own else "its trial is not the one that its identity is a hash of"


def changed(one: record.Record, folder: Path) -> str:
    """The first thing about a record that can be read that is not what was written; empty where all is. ``folder`` is
    its study's. Pictures that are gone are not looked for.
    """
    if problem := of_identity(one):
        return f"{folder / one.id}.json: {problem}"
    there = (picture for picture in one.pictures if (folder / picture["file"]).exists())
    return next((said for each in there for said in image(folder / each["file"], each["sha256"])), "")


def image(path: Path, sha256: str) -> Iterator[str]:
    """What is wrong with an image file."""
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        yield f"{path}: missing, and a record names it"
        return
    except OSError as error:
        yield f"{path}: cannot be read: {error.strerror}"
        return
    if digest != sha256:
        yield f"{path}: not the image that was made (SHA-256 {digest[:16]}..., recorded {sha256[:16]}...)"


def table(folder: Path) -> Iterator[str]:
    """The figures of a study's ``table.csv`` that its records no longer give."""
    path = folder / "table.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            published = list(csv.DictReader(file))
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        yield f"{path}: cannot be read: {error}"
        return
    known = {}
    for one in record.paths(folder):
        try:
            known[one.stem] = frame.row(record.read(one), str(one))
        except (OSError, record.Damaged):  # named already
            continue
    for line in published:
        yield from (f"{path}: {problem}" for problem in _row(line, known))


def _row(line: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What differs in one published row; only numbers and the status are compared, by the names that both have."""
    label, id = line.get("label"), line.get("id")
    if line.get("status") == "missing":  # it had no record then
        return
    if id not in known:
        yield f"{label}: there is no record {id} any more"
        return
    for name, value in known[id].items():
        text = line.get(name)
        if text is None or isinstance(value, bool) or not (name == "status" or isinstance(value, (int, float))):
            continue
        with contextlib.suppress(TypeError, ValueError):  # another spelling of the same number
            text = str(value) if float(text) == float(value) else text
        if text != str(value):
            yield f"{label}: {name} {text or 'nothing'} is published, the record gives {value}; report writes it anew"


def _strangers(folder: Path, images: set[str]) -> Iterator[str]:
    """Files that no record names: images, what was set aside, what a killed writer left behind."""
    for path in sorted((folder / "images").glob("*")):
        if f"images/{path.name}" not in images:
            yield f"{path}: an image that no record names"
    yield from (f"{path}: set aside by a run" for path in sorted((folder / "damaged").glob("*")))
    for path in sorted([*folder.glob(".*.part"), *(folder / "images").glob(".*.part")]):
        yield f"{path}: left behind by a process that was killed while it wrote"


def tables(results: Path) -> list[str]:
    """What of the guides' published tables the records no longer give; nothing where none were published."""
    from mic2e_bench.tools.claims import publish

    if not any((Path(results) / name).exists() for name in ("tables.md", "tables.html", "tables.json")):
        return []
    try:
        return publish.check(Path(results), mixed=True)
    except BadInput as error:
        return [str(error)]
