"""requirements.lock: the versions that the project is measured with, and where this environment differs."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mic2e_bench import paths
from mic2e_bench.machine import environment

FILE = "requirements.lock"
_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)==([^\s;\\]+)\s*(?:;\s*(.*?))?\s*\\?$")


@dataclass(frozen=True)
class Pin:
    """One version of the lock: for which machines (a marker), needed by which packages, and its lines (hashes too)."""

    name: str
    version: str
    marker: str | None
    needed_by: tuple[str, ...]
    text: str

    def applies(self, machine: Mapping[str, str] | None = None) -> bool:
        """Whether it is for this machine, or for one with these marker variables."""
        from packaging.markers import Marker

        return self.marker is None or Marker(self.marker).evaluate(dict(machine) if machine else None)

    @property
    def requirement(self) -> str:
        """Name, version and marker in one line, without hashes."""
        return f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")


def pins(text: str) -> list[Pin]:
    """The pins of a lock as ``uv pip compile`` writes it."""
    blocks: list[list[str]] = []
    for line in text.splitlines():
        if _PIN.match(line):
            blocks.append([line])
        elif blocks and line.startswith(" "):
            blocks[-1].append(line)
    return [_pin(block) for block in blocks]


def _pin(block: list[str]) -> Pin:
    name, version, marker = _PIN.match(block[0]).groups()
    return Pin(name, version, marker, tuple(_needed_by(block)), "\n".join(block))


def _needed_by(block: list[str]) -> Iterator[str]:
    for line in block[1:]:
        given = line.strip()
        if given.startswith("#"):
            yield from filter(None, [given.lstrip("#").strip().removeprefix("via").strip()])


def path() -> Path | None:
    """The lock beside this package, or else the workbench's."""
    places_of_it = (paths.PACKAGE.parent, paths.root())
    return next((folder / FILE for folder in places_of_it if (folder / FILE).is_file()), None)


def examine() -> dict[str, Any]:
    """``locked`` (``None``: there is no lock to compare with) and ``differences``: ``{package: [installed, locked]}``.

    Only packages that move a number and are installed; nothing is imported.
    """
    found = path()
    if found is None:
        return {"locked": None, "differences": {}}
    here = [pin for pin in pins(found.read_text()) if pin.name in environment.PACKAGES and pin.applies()]
    wanted = {pin.name: pin.version for pin in here}
    differences = {
        name: [version, wanted[name]]
        for name, version in environment.packages().items()
        # a build's own label (+cu130) is no other version
        if name in wanted and version.partition("+")[0] != wanted[name].partition("+")[0]
    }
    return {"locked": not differences, "differences": differences}


def warn() -> None:
    """One line on standard error where this is not the locked set."""
    found = examine()
    if found["locked"] is False:
        print(f"versions: {text(found)}", file=sys.stderr)


def text(found: Mapping[str, Any]) -> str:
    """What ``examine`` found, in one line."""
    if found["locked"] is None:
        return f"no {FILE} to compare with"
    if found["locked"]:
        return "the locked set"
    each = (f"{name} {here} (locked: {there})" for name, (here, there) in found["differences"].items())
    return f"not the locked set: {', '.join(each)}"
