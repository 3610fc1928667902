"""A readable page for each record, ``ID.html`` beside its JSON, of ``record_facts`` and ``record_tables``.

A page is written anew only where what it is made of has changed: it states the hash of that in its head.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from urllib.parse import quote

from mic2e_bench import files, paths
from mic2e_bench.records import comparable, record
from mic2e_bench.records.record import Record
from mic2e_bench.report import made_from, markup, record_facts
from mic2e_bench.report.findings import Findings
from mic2e_bench.report.tabular import Linked
from mic2e_bench.version import VERSION

TEMPLATES = ("record.html", "page.html", "style.css", "table.html")
HEAD_BYTES = 2000  # of a page, in which it states what it is made of
BACK = {"report.html": "The report", "tables.html": "The guides' tables"}  # pages of a results folder that lead here


def name(id: str) -> str:
    """The file name of a record's page."""
    return f"{id}.html"


def address(path: str) -> str:
    """The link to the page of a record, whose ``path`` is relative to where the link is shown, as a URL.

    Of a throughput study's record, which has no page, the link to itself.
    """
    parts = Path(path)
    return quote(path if parts.parent.name == paths.SERVED else parts.with_name(name(parts.stem)).as_posix())


def linked(found: Findings, id: str, text: str, base: str | None) -> str:
    """A text that leads to the page of a trial's record; ``base`` leads to the study's folder. As it is without one."""
    return text if base is None or id not in found.records else Linked.to(text, [quote(f"{base}{name(id)}")])


def write(found: Findings, coming: Path | None = None) -> list[Path]:
    """The pages of a study's records; their paths. ``coming``: the report that will lead to them, not written yet."""
    base = found.records.get(found.baseline["id"])
    return _write(found.folder.parent, [(found.folder, one, base) for one in found.records.values()], coming)


def write_some(results: Path, records: Iterable[str], coming: Path | None = None) -> list[Path]:
    """The pages of records by their paths relative to ``results``, evidence too; what cannot be read has none."""
    found = []
    for path in sorted(set(records)):
        folder = (Path(results) / path).parent
        one = record.read_if_there(Path(results) / path) if folder.name != paths.SERVED else None
        if one:
            found.append((folder, one, None))
    return _write(Path(results), found, coming, "tables")


def _write(
    results: Path, records: Iterable[tuple[Path, Record, Record | None]], coming: Path | None, by: str = "report"
) -> list[Path]:
    """Write what is not written yet, and note what each page was made from."""
    made: dict[Path, Mapping[str, str]] = {}
    for folder, one, usual in records:
        base, path = _baseline(folder, one, usual), folder / name(one.id)
        behind = {
            f"{folder.relative_to(results).as_posix()}/{each.id}.json": each.digest for each in (one, base) if each
        }
        links = _links_back(results, folder, coming)
        stamp = _stamp(*behind.values(), *map(str, links))
        if not _states(path, stamp):
            facts = record_facts.of(one, base, folder)
            html = markup.render("record.html", **facts, stamp=stamp, back=links)
            files.write_whole(path, html.encode(errors="backslashreplace"), through_links=False)
        made[path] = behind
    if made:
        made_from.note_each(results, made, f"mic2e-bench {by}")
    return list(made)


def _baseline(folder: Path, one: Record, usual: Record | None) -> Record | None:
    """What a record is measured against: the record that its scores name, else the baseline of its study."""
    for id in comparable.references(one):
        if id != one.id and record.IDENTITY.fullmatch(id):
            return usual if usual and usual.id == id else record.read_if_there(folder / f"{id}.json")
    return None if usual is None or usual.id == one.id else usual


def _links_back(results: Path, folder: Path, coming: Path | None) -> list[tuple[str, str]]:
    """Address and words of the pages that lead to a record: those of its study and of the results folder."""
    up = "../" * len(folder.relative_to(results).parts)
    places = [(folder / "report.html", "report.html", "The study's report")]
    places += [(results / file, f"{up}{file}", words) for file, words in BACK.items()]
    return [(link, words) for path, link, words in places if path == coming or path.exists()]


def _stamp(*parts: str) -> str:
    return hashlib.sha256("\n".join([VERSION, _looks(), *parts]).encode()).hexdigest()


@cache
def _looks() -> str:
    """The hash of the templates: with others the pages are others."""
    folder = Path(markup.__file__).with_name("templates")
    return hashlib.sha256(b"".join((folder / each).read_bytes() for each in TEMPLATES)).hexdigest()


def _states(path: Path, stamp: str) -> bool:
    """Whether a page says in its head that it is made of this."""
    try:
        with path.open("rb") as file:
            return f'content="{stamp}"'.encode() in file.read(HEAD_BYTES)
    except OSError:
        return False
