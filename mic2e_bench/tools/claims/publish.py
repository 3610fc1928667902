"""The tables as files in the results folder, ``tables.md``, ``tables.html`` and ``tables.json``, and their check."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mic2e_bench import files, paths
from mic2e_bench.records import comparable
from mic2e_bench.records.record import Record
from mic2e_bench.report import made_from, record_page
from mic2e_bench.tools.claims import answers, by_device, claims_file, page, score, served
from mic2e_bench.tools.claims.judge import judge
from mic2e_bench.tools.claims.layout import sheets
from mic2e_bench.tools.claims.score import Entry
from mic2e_bench.tools.claims.sheet import MeasuredCell, Sheet
from mic2e_bench.tools.claims.stored import Stored

SCHEMA = 1


@dataclass(frozen=True)
class Made:
    """Every table, and the claims as the score counts them."""

    sheets: Sequence[Sheet]
    entries: Sequence[Entry]


def make(results: Path, mixed: bool = False) -> dict[str, str]:
    """The content of each file by its name, from the stored records alone. Raises ``BadInput`` as ``_judged`` does."""
    return _contents(_judged(results, mixed), results)


def _contents(made: Made, results: Path) -> dict[str, str]:
    parts = made.sheets, made.entries, Path(results)
    return {"tables.md": page.markdown(*parts), "tables.html": page.html(*parts), "tables.json": _json(made)}


def _judged(results: Path, mixed: bool) -> Made:
    """Every table.

    Damaged records are named on standard error. Raises ``BadInput`` where the figures of one device come from
    different environments, unless ``mixed``; a single ratio never does.
    """
    records, damaged = answers.load(Path(results))
    said, unread = served.load(Path(results))
    for problem in (*damaged, *unread):
        print(f"left out: {problem}", file=sys.stderr)
    claimed = claims_file.load()
    outcomes = [judge(claim, records, said) for claim in claimed]
    made = sheets(outcomes) + by_device.sheets(claimed, records)
    if not mixed:
        _require_one_environment(one for sheet in made for outcome in sheet.shown for one in outcome.records)
    return Made(made, score.entries(outcomes))


def _require_one_environment(shown: Iterable[Stored]) -> None:
    """Raise ``BadInput`` where the figures of one device come from different environments.

    Each folder of evidence from a CPU stands for itself: a processor's name and a host called ``vm`` are many machines.
    """
    for of_one in by_device.grouped(shown).values():
        places: dict[str, list[Record]] = {}
        for one in of_one:
            is_own_place = one.path.startswith(f"{paths.EVIDENCE}/") and not one.on_gpu
            places.setdefault(one.path.split("/")[1] if is_own_place else "", []).append(one.record)
        for records in places.values():
            comparable.require_one(records, comparable.SAME_DEVICE if of_one[0].on_gpu else comparable.SAME)


def write(results: Path, mixed: bool = False) -> list[Path]:
    """Write the files; returns their paths. Raises ``BadInput``."""
    made = _judged(results, mixed)
    behind = {one.path: one.record.digest for sheet in made.sheets for cell in sheet.cells for one in cell.records}
    record_page.write_some(Path(results), behind, Path(results) / "tables.html")  # first: the figures lead to them
    contents = _contents(made, results)
    written = [Path(results) / name for name in contents]
    for path, content in zip(written, contents.values(), strict=True):
        files.write_whole(path, content.encode(errors="backslashreplace"))
    made_from.note(Path(results), written, behind, "mic2e-bench tables")
    return written


def check(results: Path, mixed: bool = False) -> list[str]:
    """A line for each cell of a published file that the stored records no longer give; nothing is written."""
    problems = []
    for name, content in make(results, mixed).items():
        path = Path(results) / name
        try:
            published = path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            problems.append(f"{path}: missing; mic2e-bench tables writes it")
            continue
        if _same_addresses(published) != _same_addresses(content):
            problems += [f"{path}: {line}" for line in _differences(name, published, content)]
    return problems


def _same_addresses(text: str) -> str:
    """A page without what depends on which pages lie beside it, for no record says that."""
    text = re.sub(r"<a href=.report\.html.>.*?</a> lies beside this page\. ", "", text)
    return re.sub(r"([0-9a-f]{16})\.html(?=[\")])", r"\1.json", text)


def _differences(name: str, published: str, content: str) -> Iterator[str]:
    """What differs, cell by cell; texts of another shape cannot be set side by side."""
    old, new = (CELLS[name](_same_addresses(text)) for text in (published, content))
    if old is None or len(old) != len(new):
        yield "another number of cells than the records give"
        return
    differing = [(mine, its) for mine, its in zip(old, new, strict=True) if mine != its]
    for mine, its in differing:
        yield f"{' '.join(mine.split())[:200]!r} is published, the records give {' '.join(its.split())[:200]!r}"
    if not differing:
        yield "its white space is not as written"


def _json_cells(text: str) -> list[str] | None:
    """Each cell with the table, the row and the column that it is in."""
    try:
        content = json.loads(text)
        tables = content["tables"]
        return (
            [
                f"{t['guide']}, {t['title']}, {row[0]['text']}, {column}: {json.dumps(cell, ensure_ascii=False)}"
                for t in tables
                for row in t["rows"]
                for column, cell in zip(t["header"], row, strict=True)
            ]
            + [f"{t['guide']}, {t['title']}: {t['caption']}" for t in tables]
            + [f"score: {content['score']}"]
        )
    except (ValueError, KeyError, TypeError, IndexError):
        return None


CELLS = {
    "tables.md": lambda text: re.split(r"\n|(?<!\\)\|", text),
    "tables.html": lambda text: re.split(r"(?=<t[dh]|<h\d|<p|<caption)", text),
    "tables.json": _json_cells,
}


def _json(made: Made) -> str:
    tables = [
        {
            "guide": sheet.guide,
            "title": sheet.title,
            "caption": sheet.caption,
            "header": list(sheet.header),
            "rows": [[_cell(cell) for cell in row] for row in sheet.rows],
        }
        for sheet in made.sheets
    ]
    counted = {word: {"claims": c, "figures": f} for word, (c, f) in score.counts(made.entries).items()}
    return json.dumps({"schema": SCHEMA, "score": counted, "tables": tables}, indent=1, ensure_ascii=False) + "\n"


def _cell(cell: str | MeasuredCell) -> dict[str, Any]:
    """The figure, to six digits so that processors that round differently agree, and the records by id and path."""
    if isinstance(cell, str):
        return {"text": cell}
    outcome, claim = cell.outcome, cell.outcome.claim
    return {
        "text": cell.text,
        "claim": f"{claim.key}.{claim.of}",
        "pipeline": claim.pipeline.name,
        "claimed": [claim.low, claim.high],
        "value": None if outcome.value is None else float(f"{outcome.value:.6g}"),
        "unit": claims_file.QUANTITIES[claim.of][2],
        "ci95": outcome.ci95 and [float(f"{end:.6g}") for end in outcome.ci95],
        "verdict": outcome.verdict,
        "why": outcome.why,
        "command": outcome.command,
        "command_on": outcome.on,
        "remark": outcome.remark,
        "n": outcome.sample,
        "disturbed": outcome.is_disturbed,
        "place": outcome.place,
        "records": [{"id": one.record.id, "path": one.path} for one in outcome.records],
    }
