"""A lock with hashes, as ``uv pip compile --generate-hashes`` and pip-compile write it, and how two of them differ.

What a lock says is data. Of each pin the name, the version and the hashes are read, and written anew for uv: no option
of a lock reaches it, nothing is built, and nothing is installed without its hash.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from mic2e_bench import files, paths
from mic2e_bench.errors import BadInput

MOST = 16 * files.MIB  # bytes of a lock: it has many hashes
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
_HASH = re.compile(r"\s--hash[=\s]\s*(sha(?:256|384|512):[0-9a-f]{64,128})(?=\s|$)")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_PYTHON = re.compile(r"^#.*(?:--python-version[= ]|with Python )(\d+\.\d+)", re.M)
_WHEEL = re.compile(r"(?:file:|\.{0,2}/)?[^;\s]+\.whl")


@dataclass(frozen=True)
class Pin:
    """One package of a lock. ``asked`` is what uv is asked for: ``name==version``, or ``name @ URL`` of a wheel."""

    name: str
    version: str
    asked: str
    hashes: frozenset[str]

    def is_same(self, other: Pin) -> bool:
        """The same files: a lock may have the hashes of more of them than another."""
        return self.asked == other.asked and bool(self.hashes & other.hashes)


@dataclass(frozen=True)
class Move:
    """A package that is not the same in two locks; ``None``: a side does not have it."""

    name: str
    good: Pin | None
    bad: Pin | None

    def __str__(self) -> str:
        if self.good and self.bad:
            same = " (another file)" if self.good.version == self.bad.version else ""
            return f"{self.name} {self.good.version} → {self.bad.version}{same}"
        one, what = (self.bad, "added") if self.bad else (self.good, "removed")
        return f"{self.name} {one.version} ({what})"


Pins = Mapping[str, Pin]


def read(path: Path) -> dict[str, Pin]:
    """The pins of a lock that are for this machine and this Python, by name. Raises ``BadInput``."""
    text = files.read_text(path, "bisect", most=MOST)
    found: dict[str, Pin] = {}
    for number, line in _lines(text):
        pin = _pin(line, f"bisect: {path}, line {number}", path.parent)
        if pin and pin.name in found:
            raise BadInput(f"bisect: {path}, line {number}: {pin.name} is pinned twice.")
        if pin:
            found[pin.name] = pin
    if not found:
        raise BadInput(f"bisect: {path} pins nothing for this machine: it is no lock. {_ADVICE}")
    python = _PYTHON.search(text)
    if python and python[1] != HERE and not ("--universal" in text and _number(python[1]) <= _number(HERE)):
        raise BadInput(f"bisect: {path} was compiled for Python {python[1]}, and this is Python {HERE}. {_ADVICE}")
    return found


_ADVICE = f"Write one: uv pip compile --generate-hashes --python-version {HERE} pyproject.toml -o LOCK."


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Each requirement on one line, without comments, and the number of the line that it begins in."""
    begun, parts = 0, []
    for number, line in enumerate(text.splitlines(), 1):
        begun = begun or number
        bare = _COMMENT.sub("", line).rstrip()
        parts.append(bare.removesuffix("\\"))
        if not bare.endswith("\\"):
            if joined := " ".join(parts).strip():
                yield begun, joined
            begun, parts = 0, []


def _pin(line: str, where: str, folder: Path) -> Pin | None:
    """The pin of a line; ``None`` where it is for other machines. Raises ``BadInput``."""
    if line.startswith("-"):
        raise BadInput(
            f"{where}: a lock's options are not passed on: {line.split()[0]}. Pins and hashes alone are read; give an "
            "index by uv's own settings (UV_INDEX)."
        )
    hashes = frozenset(_HASH.findall(line))
    asked = _HASH.sub("", line).strip()
    try:
        wanted = Requirement(_named(asked))
    except InvalidRequirement:
        raise BadInput(f"{where}: '{asked[:80]}' is no pin of a lock (name==version --hash=sha256:...).") from None
    if wanted.marker and not wanted.marker.evaluate():
        return None
    name, extras = canonicalize_name(wanted.name), f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""
    if not hashes:
        raise BadInput(f"{where}: {name} has no hash. {_ADVICE}")
    if wanted.url:
        url, version = _wheel(wanted.url, name, where, folder)
        return Pin(name, version, f"{name}{extras} @ {url}", hashes)
    pinned = [one for one in wanted.specifier if one.operator == "==" and not one.version.endswith("*")]
    if len(pinned) != 1 or len(wanted.specifier) != 1:
        raise BadInput(f"{where}: '{asked[:80]}' pins no version (name==version). {_ADVICE}")
    return Pin(name, pinned[0].version, f"{name}{extras}=={pinned[0].version}", hashes)


def _named(asked: str) -> str:
    """The requirement of a line that is a wheel's path alone, which its name names."""
    found = _WHEEL.match(asked)
    if not found or " @ " in asked:
        return asked
    return f"{found[0].rpartition('/')[2].partition('-')[0]} @ {asked}"


def _wheel(url: str, name: str, where: str, folder: Path) -> tuple[str, str]:
    """The whole address of a wheel, and its version. Raises ``BadInput``."""
    parts = urlsplit(url)
    if parts.scheme not in ("", "file", "https") or not parts.path.endswith(".whl"):
        raise BadInput(f"{where}: {url[:120]} is no wheel's file or https address, and nothing is built here.")
    path = unquote(parts.path)
    try:
        named, version, *_ = parse_wheel_filename(path.rpartition("/")[2])
    except InvalidWheelFilename:
        raise BadInput(f"{where}: {url[:120]} has no wheel's name.") from None
    if canonicalize_name(named) != name:
        raise BadInput(f"{where}: {url[:120]} is a wheel of {named}, not of {name}.")
    if parts.scheme == "https":
        return url, str(version)
    file = (folder / paths.expanded(path)).resolve()
    if not file.is_file():
        raise BadInput(f"{where}: no such file: {file}.")
    return file.as_uri(), str(version)


def moves(good: Pins, bad: Pins) -> list[Move]:
    """The packages that are not the same, in the order of their names."""
    pairs = [(name, good.get(name), bad.get(name)) for name in sorted({*good, *bad})]
    return [Move(name, one, other) for name, one, other in pairs if not (one and other and one.is_same(other))]


def mixed(good: Pins, bad: Pins, names: frozenset[str]) -> dict[str, Pin]:
    """GOOD's pins, with those of BAD for these names."""
    every = {name: (bad if name in names else good).get(name) for name in sorted({*good, *bad})}
    return {name: pin for name, pin in every.items() if pin}


def written(pins: Pins) -> str:
    """The lock that uv gets."""
    return "".join(f"{pins[n].asked} {' '.join(f'--hash={h}' for h in sorted(pins[n].hashes))}\n" for n in sorted(pins))
