"""Files that people give, read with one line for whatever is wrong with them; and files written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import json
import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import IO, Any, BinaryIO

from yaml import YAMLError

from mic2e_bench import documents
from mic2e_bench.errors import BadInput

MIB = 1 << 20
MOST_TEXT, MOST_JSON = MIB, 256 * MIB  # bytes of a file that a person writes, and of one that a program writes


class CannotWrite(BadInput):
    """A folder that cannot be written, or a disk that is full."""


def read_bytes(path: Path, most: int) -> bytes:
    """A regular file of at most ``most`` bytes: a pipe or a device would be waited for, or never end.

    Raises ``OSError``, whose ``strerror`` says what is wrong.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe opens at once
    with open(descriptor, "rb") as file:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(kind):
            raise OSError(errno.EINVAL, "it is a pipe or a device, and no regular file", str(path))
        pieces: list[bytes] = []
        while piece := file.read(MIB):  # a size that is told may be wrong, and asking for much takes as much memory
            pieces.append(piece)
            if len(pieces) * MIB > most + MIB:
                break
        content = b"".join(pieces)
        if len(content) > most:
            raise OSError(errno.EFBIG, f"it is larger than {most // MIB} MiB", str(path))
        return content


def read_text(path: Path, where: str = "", advice: str = "", most: int = MOST_TEXT) -> str:
    """What a UTF-8 file of at most ``most`` bytes (1 MiB) says. Raises ``BadInput``: after ``where``, with ``advice``
    where there is no such file.
    """
    place = f"{where}: {path}" if where else str(path)
    try:
        return read_bytes(path, most).decode().replace("\r\n", "\n")
    except FileNotFoundError:
        raise BadInput(f"{place}: cannot be read: no such file.{advice and f' {advice}'}") from None
    except OSError as error:  # a folder, no permission
        raise BadInput(f"{place}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{place}, line {line}: cannot be read: not UTF-8. Save it as UTF-8 text.") from None
    except ValueError:
        raise BadInput(f"{place}: no file has such a name.") from None


def read_yaml(path: Path, where: str = "", advice: str = "") -> Any:
    """What a YAML file of one document says; ``None`` where it is empty. Raises ``BadInput`` as ``read_text`` does."""
    found = read_documents(path, where, advice)
    if len(found) > 1:
        place = f"{where}: {path}" if where else str(path)
        raise BadInput(f"{place}: it holds {len(found)} documents, and one is wanted: take out the lines ---.")
    return found[0] if found else None


def read_documents(path: Path, where: str = "", advice: str = "") -> list[Any]:
    """What a YAML file says, a document after the other. Raises ``BadInput`` as ``read_text`` does."""
    text = read_text(path, where, advice)
    try:
        return documents.yaml_values(text)
    except YAMLError as error:
        place = f"{where}: {path}" if where else str(path)
        raise BadInput(f"{place}{_what_is_wrong(error)} Look at brackets, quotes and indents there.") from None


def read_json(path: Path) -> Any:
    """What a JSON file says. Raises ``OSError``, and ``ValueError`` for what is no JSON or not to be taken in."""
    return documents.json_value(read_bytes(path, MOST_JSON))


def _what_is_wrong(error: Exception) -> str:
    mark, start = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    if mark is None:  # a character that cannot be; nothing says in which line
        return f": not valid YAML: {' '.join(str(error).split())}."
    begun = f" {error.context} of line {start.line + 1}" if error.context and start else ""
    return f", line {mark.line + 1}: not valid YAML: {error.problem}{begun}."


def yaml_value(text: str, where: str, key: str = "") -> Any:
    """A value as YAML writes it under a key. Raises ``BadInput``."""
    try:
        return documents.yaml_value(text, key)
    except YAMLError as error:
        why = getattr(error, "problem", None) or " ".join(str(error).split())
        raise BadInput(f"{where}: '{text}' is not a YAML value: {why}.") from None


def text_or_nothing(path: Path) -> str:
    """What the kernel or a program wrote there, without white space at its ends; nothing where that cannot be read."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def last_words(path: Path | None, most: int = 4000) -> str:
    """The last bytes of a log as text; nothing where there is none."""
    try:
        with open(path or "", "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def lock(file: IO[str], waiting: str) -> None:
    """Hold an open file for this process, until it is closed; where another one holds it, say ``waiting`` and wait."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(waiting, file=sys.stderr)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        _say_unlocked(error.strerror)


@functools.cache
def _say_unlocked(why: str) -> None:
    """Once: Lustre and some NFS have no locks."""
    print(f"this file system has no locks ({why}): start no second run of a study beside this one.", file=sys.stderr)


def as_json(content: Any) -> bytes:
    """A JSON file; half a pair of surrogates, which UTF-8 cannot hold, is written as JSON's own escape."""
    return json.dumps(content, indent=1, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"


def write_whole(path: Path, content: bytes, through_links: bool = True) -> None:
    """Replace a file atomically; what is no file (a pipe, a device) is written to.

    ``through_links``: of a link the file that it leads to; else the link itself is replaced. Raises ``CannotWrite``
    where the folder cannot be written or the disk is full.
    """
    try:
        if through_links and _is_stream(path):
            with _stream(path) as stream:
                stream.write(content)
            return
        target = Path(os.path.realpath(path)) if through_links else path
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", suffix=".part", delete=False) as part:
            try:
                part.write(content)
                part.flush()
                os.fsync(part.fileno())
                os.chmod(part.name, 0o644)
                os.replace(part.name, target)
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise cannot_write(path, error) from error


def _is_stream(path: Path) -> bool:
    """Whether there is something that is no file nor folder, or a file that standard output goes to."""
    try:
        there = os.stat(path)
    except OSError:
        return False
    return not (stat.S_ISREG(there.st_mode) or stat.S_ISDIR(there.st_mode)) or _standard(there) is not None


def _standard(there: os.stat_result) -> int | None:
    """Which of standard output and standard error it is, if one: a file that is written there keeps what it has."""
    for number in (1, 2):
        with contextlib.suppress(OSError):
            if os.path.samestat(there, os.fstat(number)):
                return number
    return None


def _stream(path: Path) -> BinaryIO:
    number = _standard(os.stat(path))
    if number is None:
        return path.open("wb")
    (sys.stdout if number == 1 else sys.stderr).flush()
    return os.fdopen(os.dup(number), "wb")


def cannot_write(path: Path, error: OSError) -> CannotWrite:
    """What to tell a person whose disk is full or whose folder cannot be written."""
    return CannotWrite(f"cannot write {path}: {error.strerror}. Give a folder that can be written: --results DIR.")
