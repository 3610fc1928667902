"""What each published table and page was made from, so that ``verify`` finds one that was edited or has grown old.

``made_from.json`` of a results folder maps every such file to its SHA-256, to the records behind it with the hashes of
their contents, and to the command that writes it; what takes long to make also to the hash of all else that it was made
of (``way``), so that it need not be made again. Its own last key is the hash of all that (``seal``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mic2e_bench import documents, files, seal, within

NAME, SCHEMA = "made_from.json", 1
RECORDS = f"*/{'[0-9a-f]' * 16}.html"  # their pages
USUAL = ("tables.*", "report.html", "*/table.*", "*/report.html", "*/*.ipynb", "*/tune/front.*", RECORDS)


def note(results: Path, made: Iterable[Path], records: Mapping[str, str], by: str, way: str = "") -> None:
    """Say what files were made from, once they are written; what is noted of others stays.

    ``records`` maps paths relative to ``results`` to the hashes of the records' contents, ``by`` is a command, ``way``
    the hash of what else decides their content. Raises ``files.CannotWrite``.
    """
    note_each(results, dict.fromkeys(made, records), by, way)


def note_each(results: Path, made: Mapping[Path, Mapping[str, str]], by: str, way: str = "") -> None:
    """The same of files each of which has its own records."""
    results = Path(results)
    try:
        lock = (results / f".{NAME}.lock").open("a+")
    except OSError as error:
        raise files.cannot_write(results, error) from None
    more = {"way": way} if way else {}
    with lock:
        files.lock(lock, f"{results / NAME}: another process is writing it; waiting for it to end.")
        known, _ = _read(results)
        for path, records in made.items():
            entry = {"sha256": _digest(path), "by": by, "records": dict(sorted(records.items())), **more}
            known[_name(results, path)] = entry
        content = seal.sealed({"schema": SCHEMA, "files": dict(sorted(known.items()))})
        files.write_whole(results / NAME, files.as_json(content))


def is_current(results: Path, path: Path, records: Mapping[str, str], way: str) -> bool:
    """Whether a file is the one that would be made again: of these records, in this way, and as it was written."""
    known, wrong = _read(Path(results))
    entry = known.get(_name(Path(results), path), {})
    if wrong or entry.get("way") != way or entry["records"] != dict(records):
        return False
    try:
        return _digest(path) == entry["sha256"]
    except OSError:
        return False


def problems(results: Path, records: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """``(file, what is wrong with it)``: edited since it was written, or older than its records. One that is gone is no
    problem. ``records`` are those that are there now, as in ``note``.
    """
    results = Path(results)
    known, wrong = _read(results)
    if wrong:
        yield NAME, wrong
    for name, entry in known.items():
        try:
            digest = _digest(results / name)
        except OSError:
            continue
        if digest != entry["sha256"]:
            yield name, "it was edited after it was written"
        moved = [one for one, was in entry["records"].items() if records.get(one) != was]
        if moved:
            gone = "another now" if moved[0] in records else "gone or cannot be read"
            of = f"{len(moved)} of its {len(entry['records'])} records changed since ({moved[0]} is {gone})"
            yield name, f"it is older than its records: {of}; {entry['by']} writes it anew"


def unknown(results: Path) -> list[str]:
    """Files that look published, of which nothing is noted: an older version wrote them, or somebody else."""
    known, _ = _read(Path(results))
    found = (path for pattern in USUAL for path in sorted(Path(results).glob(pattern)) if path.is_file())
    return [name for path in found if (name := _name(results, path)) not in known]


def _digest(path: Path) -> str:
    return hashlib.sha256(files.read_bytes(path, files.MOST_JSON)).hexdigest()


def _name(results: Path, path: Path) -> str:
    return Path(path).relative_to(results).as_posix()


def _read(results: Path) -> tuple[dict[str, Any], str]:
    """What is noted, by file, and what is wrong with the notes themselves."""
    try:
        written = files.read_bytes(results / NAME, files.MOST_JSON)
        content = documents.json_value(written)
        is_whole = seal.KEY in content and seal.is_whole(content, written)
        within.check(results / NAME, list(content["files"]))
        shapes = {"sha256": str, "by": str, "records": dict}
        if not all(isinstance(one[key], kind) for one in content["files"].values() for key, kind in shapes.items()):
            raise ValueError
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, "it cannot be read; the commands that write tables and pages write it anew"
    return content["files"], "" if is_whole else "it was edited after it was written"
