"""``run --pack-results DIR``: the records of the command's studies, packed after every study and at the end."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mic2e_bench import paths, units
from mic2e_bench.errors import BadInput
from mic2e_bench.files import cannot_write, write_whole
from mic2e_bench.records import record
from mic2e_bench.records.record import Record
from mic2e_bench.tools.collect import parts, summary
from mic2e_bench.tools.doctor import doctor

if TYPE_CHECKING:
    from mic2e_bench.plan.params import Study
    from mic2e_bench.tools.budget.budget import Budget

MOST_FILES = 8  # in the folder: the parts and the summary
SUMMARY = "summary.md"
LOG_BYTES, LOGS_BYTES = 8_000, 128_000  # of one child's log (its end), and of all of a study
EXAMINED_S = 1800.0  # of a budget: with less the doctor does not call the libraries: 2 minutes on a cold disk
OVERWRITTEN = re.compile(r"[^\n]*\r(?!\n)")
LEAST_PART = 1 << 16
OURS = re.compile(rf"{parts.NAME.pattern}|{re.escape(SUMMARY)}|\..*\.part")


class Packing:
    """Packs on ``write`` and when its block ends, however that is; nothing that cannot be read stops it.

    ``part`` is the most of one file, such as ``15MiB``. Raises ``BadInput`` for a folder with other things in it.
    """

    def __init__(self, folder: Path, studies: Sequence[Study], results: Path, part: str, budget: Budget | None) -> None:
        self.folder, self.studies, self.results, self.budget = folder, studies, Path(results), budget
        self.most = int(units.size(part, "--part"))
        if self.most < LEAST_PART:
            raise BadInput(f"--part {part}: too little for one record; the least is 64KiB.")
        self._check_folder()
        called = budget is None or budget.seconds >= EXAMINED_S
        self.doctor = clean(doctor.text(doctor.examine(call_libraries=called))) + "\n"
        self.written: dict[int, tuple[Any, ...]] = {}  # what the parts hold, by number
        self.sizes: dict[tuple[Any, ...], int] = {}
        self.told = False

    def __enter__(self) -> Packing:
        return self

    def __exit__(self, *error: Any) -> None:
        self.write()

    def _check_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            strangers = [path.name for path in self.folder.iterdir() if not OURS.fullmatch(path.name)]
        except OSError as error:
            raise cannot_write(self.folder, error) from None
        if strangers:
            raise BadInput(f"--pack-results {self.folder}: holds other things ({strangers[0]}): give an empty folder.")
        for name in self._packed():
            study, _, file = name.partition("/")
            known = study in {one.name for one in self.studies} and (self.results / name).is_file()
            if record.IDENTITY.fullmatch(file.removesuffix(".json")) and not known:
                why = f"holds the record {name}, which would be lost: it is not of this command's studies and results"
                raise BadInput(f"--pack-results {self.folder}: {why}. Give another folder.")

    def _packed(self) -> list[str]:
        """The names of the files that are packed there; of a damaged part, those that can be read."""
        names: list[str] = []
        with contextlib.suppress(BadInput):
            parts.read_all(self.folder, lambda name, content: names.append(name))
        return names

    def write(self) -> None:
        """Pack what there is now. A part is replaced in one step, and only where its content changed."""
        start = time.monotonic()
        bundles = self._bundles()
        sizes = {key: sum(self._size(*pair) for pair in files.items()) for key, files in bundles.items()}
        chunks = self._chunks(sizes)
        grown = len(chunks) >= len(self.written)
        # records move to later parts as scores are added, to earlier ones when parts get larger: in this order a copy
        # that is made meanwhile has each record at least once
        numbers = range(len(chunks), 0, -1) if grown else range(1, len(chunks) + 1)
        for number in numbers:
            files = {name: path for key in chunks[number - 1] for name, path in bundles[key].items()}
            content = (len(chunks), *((name, self._key(path)) for name, path in files.items()))
            if self.written.get(number) != content:
                read = {name: _content(path) for name, path in files.items()}
                parts.write(self.folder / parts.name(number), number, len(chunks), read)
                self.written[number] = content
        for path in sorted(self.folder.iterdir(), reverse=True):
            found = parts.NAME.fullmatch(path.name)
            if found and int(found[1]) > len(chunks):
                path.unlink()
                self.written.pop(int(found[1]), None)
        text = summary.text(self.studies, self.results, self.budget)
        write_whole(self.folder / SUMMARY, text.encode())
        if self.budget:
            self.budget.packing_s = max(self.budget.packing_s, time.monotonic() - start)

    def _chunks(self, sizes: dict[str, int]) -> list[list[str]]:
        """What goes into which part; fewer and larger ones where there would be too many."""
        most = self.most
        while len(chunks := list(parts.chunks(sizes, most))) > MOST_FILES - 1:
            most = most * 5 // 4
        largest = max(sum(sizes[key] for key in chunk) for chunk in chunks)
        if (most > self.most or largest > self.most) and not self.told:
            self.told = True
            print(
                f"--part: {MOST_FILES} files of {self.most / 2**20:g} MiB cannot hold all records; the parts are "
                f"larger, up to {max(largest, most) / 2**20:.1f} MiB.",
                file=sys.stderr,
            )
        return chunks

    def _bundles(self) -> dict[str, dict[str, Path | bytes]]:
        """The files that stay together, in their order: the doctor's page and the logs, then each record in turn."""
        first: dict[str, Path | bytes] = {"doctor.txt": self.doctor.encode()}
        found: list[tuple[str, str, dict[str, Path | bytes]]] = []
        for study in self.studies:
            folder = self.results / study.name
            if log := study_log(folder):
                first[f"logs/{study.name}.log"] = log
            for path in record.paths(folder):
                if one := record.read_if_there(path):
                    found.append((str(one.environment.get("finished")), path.stem, self._of_record(folder, one)))
        return {"": first} | {f"{at} {id}": files for at, id, files in sorted(found, key=lambda each: each[:2])}

    def _of_record(self, folder: Path, one: Record) -> dict[str, Path | bytes]:
        """A record and its pictures; those of random weights are noise, of which the hash in the record is enough."""
        study = folder.name
        files: dict[str, Path | bytes] = {f"{study}/{one.id}.json": folder / f"{one.id}.json"}
        if one.model.get("source") != "random":
            for picture in one.pictures:
                path = folder / picture["file"]
                if parts.PICTURE.fullmatch(picture["file"]) and path.is_file():
                    files[f"{study}/{picture['file']}"] = path
        return files

    def _size(self, name: str, path: Path | bytes) -> int:
        key = self._key(path)
        if key not in self.sizes:
            self.sizes[key] = parts.packed_bytes(name, _content(path))
        return self.sizes[key]

    @staticmethod
    def _key(path: Path | bytes) -> tuple[Any, ...]:
        if isinstance(path, bytes):
            return (path,)
        stat = path.stat()
        return str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino


def _content(path: Path | bytes) -> bytes:
    return path if isinstance(path, bytes) else path.read_bytes()


def study_log(folder: Path) -> bytes:
    """The ends of the logs of a study's children, one after the other; empty where they said nothing."""
    texts: list[str] = []
    with contextlib.suppress(OSError):
        for path in sorted((folder / "logs").glob("*.log"), key=lambda path: path.stat().st_mtime):
            # of a progress bar only what it came to
            if content := OVERWRITTEN.sub("", path.read_bytes()[-LOG_BYTES:].decode(errors="replace")):
                texts.append(f"== {path.name}\n{clean(content).rstrip()}\n")
    return "\n".join(texts).encode()[-LOGS_BYTES:]


def clean(text: str) -> str:
    """A text without the names of this machine's folders."""
    known = {sys.prefix: "ENV", sys.base_prefix: "PYTHON", paths.PACKAGE.parent: ".", paths.root(): ".",
             Path.cwd(): ".", Path(os.path.expanduser("~")): "~"}  # fmt: skip
    for folder, name in sorted(known.items(), key=lambda pair: -len(str(pair[0]))):
        text = text.replace(str(folder), name) if len(str(folder)) > 1 else text
    return text
