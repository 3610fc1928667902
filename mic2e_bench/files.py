"""Files that people give, read with one line for whatever is wrong with them; and files written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from mic2e_bench.errors import BadInput

NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)  # a date such as 2026-13-01; brackets without end


class CannotWrite(BadInput):
    """A folder that cannot be written, or a disk that is full."""


def read_text(path: Path, where: str = "", advice: str = "") -> str:
    """What a UTF-8 file says. Raises ``BadInput``: after ``where``, with ``advice`` where there is no such file."""
    place = f"{where}: {path}" if where else str(path)
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(f"{place}: cannot be read: no such file.{advice and f' {advice}'}") from None
    except OSError as error:  # a folder, no permission
        raise BadInput(f"{place}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{place}, line {line}: cannot be read: not UTF-8. Save it as UTF-8 text.") from None


def read_yaml(path: Path, where: str = "", advice: str = "", parse: Callable[[str], Any] = yaml.safe_load) -> Any:
    """What a YAML file of one document says; ``None`` where it is empty. Raises ``BadInput`` as ``read_text`` does."""
    text = read_text(path, where, advice)
    try:
        return parse(text)
    except NOT_YAML as error:
        place = f"{where}: {path}" if where else str(path)
        raise BadInput(f"{place}{_what_is_wrong(error)} Look at brackets, quotes and indents there.") from None


def read_documents(path: Path) -> list[Any]:
    """What a YAML file says, a document after the other. Raises ``BadInput`` as ``read_text`` does."""
    return read_yaml(path, parse=lambda text: list(yaml.safe_load_all(text)))


def _what_is_wrong(error: Exception) -> str:
    mark, start = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    if mark is None:  # a character or a value that cannot be; nothing says in which line
        return f": not valid YAML: {' '.join(str(error).split())}."
    begun = f" {error.context} of line {start.line + 1}" if error.context and start else ""
    return f", line {mark.line + 1}: not valid YAML: {error.problem}{begun}."


def yaml_value(text: str, where: str) -> Any:
    """A value as YAML writes it. Raises ``BadInput``."""
    try:
        return yaml.safe_load(text)
    except NOT_YAML:
        raise BadInput(f"{where}: '{text}' is not a YAML value.") from None


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


def read_json(path: Path) -> Any:
    """What a JSON file says that this program wrote.

    Raises ``OSError``, and ``ValueError`` saying what no such file is: a device or a link to one, larger than
    ``JSON_BYTES``, no UTF-8, no JSON (NaN is none), brackets without end.
    """
    stored = path.stat() if path.exists() else path.lstat()
    if not stat.S_ISREG(stored.st_mode):
        raise ValueError("it is no regular file")
    if stored.st_size > JSON_BYTES:
        raise ValueError(f"it has {stored.st_size} bytes, and no record has more than {JSON_BYTES}")
    text = path.read_bytes()
    try:
        content = _JSON.decode(text.decode())
        if _may_be_deep(text) and _depth(content) > DEEPEST:
            raise RecursionError
    except RecursionError:
        raise ValueError(f"it has more than {DEEPEST} brackets in each other") from None
    return content


JSON_BYTES, DEEPEST = 16 << 20, 32
_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _may_be_deep(text: bytes) -> bool:
    """Whether there may be more than ``DEEPEST`` brackets in each other; those in texts count, too."""
    brackets = text.translate(None, _BUT_BRACKETS)
    for _ in range(DEEPEST):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return bool(brackets)


def _depth(content: Any) -> int:
    depth, level = 0, [content]
    while level := [each for each in level if isinstance(each, (dict, list)) and each]:
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
        depth += 1
    return depth


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


_JSON = json.JSONDecoder(parse_constant=_no_number)


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
