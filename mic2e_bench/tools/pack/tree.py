"""The project's own files in a pack: the package, the bundled models, params, tests; and the commit."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from mic2e_bench import paths
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import versions
from mic2e_bench.tools.pack.archive import Part

PACKAGE, BUNDLED, TESTS = "mic2e_bench", "bundled", "tests"
# notebooks/ is small, and a workbench is known by it
FOLDERS = (PACKAGE, "params", "notebooks")
FILES = ("Makefile", "pyproject.toml", "README.md", "LICENSE")
CACHES = {"__pycache__", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints"}
INPUTS = "inputs"  # not a model


def root() -> Path:
    """The checkout that this package runs from. Raises ``BadInput`` where it is an installed one."""
    folder = paths.PACKAGE.parent
    if not all((folder / name).is_file() for name in ("pyproject.toml", versions.FILE)):
        raise BadInput(f"pack needs the project's own folder (pyproject.toml, {versions.FILE}); {folder} is none.")
    return folder


def models(folder: Path) -> list[str]:
    """The bundled models, as ``--without`` calls them."""
    found = (folder / PACKAGE / BUNDLED).iterdir()
    return sorted(one.name for one in found if one.is_dir() and one.name != INPUTS)


def parts(folder: Path, without: Iterable[str], commit: str) -> list[Part]:
    """The parts of the project in this folder."""
    code = Part("code", {f"code/{name}": folder / name for name in FILES if (folder / name).is_file()})
    code.files["code/COMMIT"] = f"{commit}\n".encode()
    # the lock without its hashes: what `doctor` compares with
    pins = versions.pins((folder / versions.FILE).read_text())
    code.files[f"code/{versions.FILE}"] = "".join(f"{pin.requirement}\n" for pin in pins).encode()
    made = {name: Part(f"model-{name}", optional=name, weights=True) for name in models(folder) if name not in without}
    for path in (path for name in FOLDERS for path in walk(folder / name)):
        name = path.relative_to(folder)
        inside = name.parts[2] if name.parts[:2] == (PACKAGE, BUNDLED) and len(name.parts) > 3 else INPUTS
        if inside == INPUTS:
            code.files[f"code/{name.as_posix()}"] = path
        elif inside in made:
            made[inside].files[f"code/{name.as_posix()}"] = path
    tests = Part(TESTS, optional=TESTS)
    if TESTS not in without and (folder / TESTS).is_dir():
        tests.files = {f"code/{path.relative_to(folder).as_posix()}": path for path in walk(folder / TESTS)}
    return [part for part in (code, *made.values(), tests) if part.files]


def walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder, links to files among them, caches not."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in CACHES and not name.endswith(".egg-info"))
        if linked := next((name for name in folders if (Path(place) / name).is_symlink()), None):
            raise BadInput(f"pack: {Path(place) / linked} is a link to a folder. Only links to files are packed.")
        yield from (Path(place) / name for name in sorted(files) if not name.endswith((".pyc", ".part")))


def commit(folder: Path) -> tuple[str, int]:
    """The commit, ``-dirty`` where it was changed, and its time in seconds; of a copy what its file COMMIT says."""
    if (folder / ".git").exists():
        with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
            named = _git(folder, "describe", "--always", "--dirty", "--abbrev=12")
            return named, int(_git(folder, "log", "-1", "--format=%ct"))
    written = folder / "COMMIT"
    return (written.read_text().strip() if written.is_file() else "") or "unknown", 0


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
