"""The environments that are compared: made by uv from a lock, as hard links from its cache where that is possible.

At most two exist at a time. An environment that the next mix of packages needs is the last one with other packages in
their place: what Python compiled of all the others stays. One that a killed run left is used again, or made anew where
uv was not done with it. The harness in it is a copy of this one, on its path by a ``.pth``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mic2e_bench import files, paths
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import environment
from mic2e_bench.tools.bisect import lock
from mic2e_bench.tools.bisect.lock import Pins
from mic2e_bench.units import GIB

DONE = "bisect.json"  # what is installed in an environment; not there while uv works on it
PTH = "mic2e_bench_measured.pth"
UNKNOWN_BYTES = 50 << 20  # of a package that is not installed here
COMPILED_BYTES = GIB // 4  # what Python writes when it first imports, and the records


@dataclass(frozen=True)
class Uv:
    """The program, and the folder that it works in, where no project's settings are."""

    program: str
    folder: Path

    def run(self, *words: str, check: str = "") -> subprocess.CompletedProcess:
        """Raises ``BadInput`` with uv's last words after ``check``, where that is given."""
        self.folder.mkdir(parents=True, exist_ok=True)
        left = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}
        command = [self.program, *words, "--no-progress", "--color", "never"]
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=self.folder, env=left)
        if check and ended.returncode:
            lines = [line for line in ended.stderr.splitlines() if not line.startswith(("Using Python", "Resolved "))]
            said = " ".join(" ".join(lines).split()) or f"uv ended with {ended.returncode}"
            raise BadInput(f"bisect: {check}: {said}")
        return ended


def find_uv() -> str:
    """Raises ``BadInput`` where there is none."""
    places = (Path(sys.executable).parent, paths.PACKAGE.parent / ".uv/bin", paths.root() / ".uv/bin")
    found = shutil.which("uv") or next(filter(None, (shutil.which("uv", path=str(one)) for one in places)), None)
    if not found:
        raise BadInput("bisect needs uv for the two environments. `make setup` brings it, or: pip install uv.")
    return found


@dataclass
class Environment:
    """One environment: its folder, and what is installed in it."""

    uv: Uv
    folder: Path
    harness: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def site(self) -> Path:
        return self.folder / "lib" / f"python{lock.HERE}" / "site-packages"

    def make(self) -> None:
        """An empty environment of this Python, where there is none that uv was done with."""
        if not self.has_installed():
            shutil.rmtree(self.folder, ignore_errors=True)
            words = ("venv", "-q", "--no-python-downloads", "--no-project", "--python", sys.executable)
            self.uv.run(*words, str(self.folder), check="uv venv")

    def has_installed(self) -> dict[str, str]:
        """What each package was asked for as, with its hashes; empty where nothing is whole."""
        try:
            return dict(files.read_json(self.folder / DONE))
        except (OSError, ValueError):
            return {}

    def resolve(self, pins: Pins, what: str) -> None:
        """Whether uv can install this; nothing is installed. Raises ``BadInput``."""
        self.make()
        self._sync(pins, what, "--dry-run")

    def install(self, pins: Pins, what: str) -> None:
        """Exactly these packages. Raises ``BadInput`` after ``what``."""
        wanted, there = {name: lock.written({name: pin}) for name, pin in pins.items()}, self.has_installed()
        if wanted == there:
            return
        self.make()
        (self.folder / DONE).unlink(missing_ok=True)
        # the same version from another place counts as installed for uv
        anew = [name for name in wanted if name in there and there[name] != wanted[name]]
        self._sync(pins, what, *(word for name in anew for word in ("--reinstall-package", name)))
        (self.site / PTH).write_text(f"{self.harness}\n")
        files.write_whole(self.folder / DONE, json.dumps(wanted).encode())

    def _sync(self, pins: Pins, what: str, *more: str) -> None:
        asked = self.folder / "asked.lock"
        asked.write_text(lock.written(pins))
        words = ("pip", "sync", "--python", str(self.python), "--require-hashes", "--no-build")
        self.uv.run(*words, *more, str(asked), check=f"{what} cannot be installed")

    def complaints(self) -> set[str]:
        """What uv's resolver finds wrong with the packages beside each other, a line each."""
        said = self.uv.run("pip", "check", "--python", str(self.python))
        return {line for line in said.stderr.splitlines() if line.startswith("The package ")}


def room(pins: Pins, moves: list[lock.Move], uv: Uv) -> str:
    """What the environments take, in a line. Raises ``BadInput`` where the disk has no room for them."""
    cache = Path(uv.run("cache", "dir", check="uv cache dir").stdout.strip())
    linked = os.environ.get("UV_LINK_MODE", "hardlink") == "hardlink" and _device(cache) == _device(uv.folder)
    fetched = 2 * sum(_size(move.name) for move in moves)  # packed, and unpacked in the cache
    each = COMPILED_BYTES + (0 if linked else sum(map(_size, pins)))
    free = shutil.disk_usage(uv.folder).free
    how = f"hard links from uv's cache, {each / GIB:.1f} GiB more" if linked else f"copies of {each / GIB:.1f} GiB"
    said = f"two environments in {uv.folder}, each {how}"
    if free < 2 * each + fetched:
        advice = "" if linked else " A folder on the file system of uv's cache takes next to nothing."
        raise BadInput(f"bisect: no room: {said}; {free / GIB:.1f} GiB are free. Another place: --work DIR.{advice}")
    return f"{said}; {free / GIB:.0f} GiB are free"


def _device(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return folder.stat().st_dev


def _size(name: str) -> int:
    """The bytes of a package, as it is installed here."""
    try:
        return sum(file.size or 0 for file in metadata.files(name) or [])
    except metadata.PackageNotFoundError:
        return UNKNOWN_BYTES


def freeze(folder: Path) -> Path:
    """A copy of this package, which is what measures on all sides however long it takes; the folder to import from."""
    made = folder / "harness"
    if not made.exists():
        part = folder / "harness.part"
        shutil.rmtree(part, ignore_errors=True)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(paths.PACKAGE, part / paths.PACKAGE.name, symlinks=True, ignore=ignored)
        for name in ("params", "notebooks"):  # by which a workbench is known; the params file may name presets there
            if (paths.PACKAGE.parent / name).is_dir():
                (part / name).symlink_to(paths.PACKAGE.parent / name)
        (part / "COMMIT").write_text(f"{environment.git() or 'unknown'}\n")
        part.rename(made)
    return made
