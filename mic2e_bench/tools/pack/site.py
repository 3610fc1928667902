"""The packages that the target lacks: which the lock names for it, fetched by uv at the lock's hashes, pruned."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from mic2e_bench.errors import BadInput
from mic2e_bench.machine import versions
from mic2e_bench.tools.pack import tree
from mic2e_bench.tools.pack.archive import Part
from mic2e_bench.tools.pack.target import Target, normal

EXTRAS = ("quant", "engines", "scenes", "tune")
# what measuring goes without: a toggle, a metric or a command is then unavailable, and says so
OPTIONAL = ("xformers", "bitsandbytes", "lpips", "flip-evaluator")
NOTEBOOKS = ("jupyterlab", "ipykernel", "ipywidgets", "papermill", "nbconvert", "nbformat")
PLATFORM = "x86_64-manylinux_2_28"
PRUNED = re.compile(
    r"(^|/)(__pycache__|tests?)/|\.(pyc|pyi)$|^bin/|^\.lock$|\.dist-info/(direct_url\.json|REQUESTED|INSTALLER)$"
)
_BUILDS = re.compile(r"libbitsandbytes_(?:cuda|rocm|xpu)\d+\.so$")


def roots(folder: Path) -> dict[str, bool]:
    """What the project itself needs there, and whether it can go without."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {})
    needed = {name: name in OPTIONAL for name in map(_name, project["dependencies"]) if name not in NOTEBOOKS}
    extra = {_name(line): True for key in EXTRAS for line in extras.get(key, ())}
    return {**extra, "pytest": True, **needed}


def _name(requirement: str) -> str:
    return normal(re.match(r"[\w.-]+", requirement)[0])


def lacking(pins: Iterable[versions.Pin], target: Target, wanted: Iterable[str]) -> dict[str, list[versions.Pin]]:
    """What to bring for each wanted package: itself and what it needs that the target has not got.

    What several of them need is under ``""``.
    """
    here = {pin.name: pin for pin in pins if pin.applies(target.markers) and pin.name not in target.has}
    needs: dict[str, list[str]] = {name: [] for name in here}
    for pin in here.values():
        for other in pin.needed_by:
            needs.get(other, []).append(pin.name)
    reached = {name: _reach(name, needs) for name in wanted if name in here}
    brought: dict[str, list[versions.Pin]] = {}
    for name in sorted(set().union(*reached.values())):
        holders = [root for root, held in reached.items() if name in held]
        group = name if name in reached else holders[0] if len(holders) == 1 else ""
        brought.setdefault(group, []).append(here[name])
    return brought


def expected(pins: Iterable[versions.Pin], target: Target, asked: Collection[str]) -> list[str]:
    """What the target is said to have of what the project and the packages that are brought ask for."""
    found = {pin.name for pin in pins if pin.name in asked or not asked.isdisjoint(pin.needed_by)}
    return sorted(found & set(target.has))


def _reach(start: str, needs: Mapping[str, list[str]]) -> set[str]:
    found, ahead = set(), [start]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += needs[name]
    return found


def uv(folder: Path) -> str:
    """The uv on the path, or the one that ``make setup`` put into the workbench. Raises ``BadInput``."""
    found = shutil.which("uv") or shutil.which("uv", path=str(folder / ".uv" / "bin"))
    if not found:
        raise BadInput("pack needs uv for the packages that the machine lacks. `make setup` brings it, or install uv.")
    return found


def fetch(pins: Collection[versions.Pin], target: Target, into: Path, tool: str) -> None:
    """Install these pins, wheels for the target only, into a folder. Raises ``BadInput`` with uv's last words."""
    asked = into.with_suffix(".txt")
    asked.write_text("".join(f"{pin.text}\n" for pin in pins))
    hashes = ["--require-hashes"] if all("--hash=" in pin.text for pin in pins) else []
    command = [
        tool, "pip", "install", "-q", "--no-deps", "--only-binary", ":all:", "--link-mode", "copy", *hashes,
        "--python-version", target.python, "--python-platform", PLATFORM, "--target", str(into), "-r", str(asked),
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if ended.returncode:
        said = " ".join(ended.stderr.split())[-400:] or f"it ended with {ended.returncode}"
        raise BadInput(f"pack: uv could not fetch {', '.join(pin.name for pin in pins)}: {said}")


def part(name: str, folder: Path, target: Target, pruned: Counter[str], optional: bool) -> Part:
    """What a folder of installed packages brings; ``pruned`` counts the bytes that are left out, by what they are."""
    made = Part(f"site-{name or 'shared'}", optional=name if optional and name else None)
    for path in tree.walk(folder):
        inside = path.relative_to(folder).as_posix()
        if what := why_not(inside, target):
            pruned[what] += path.stat().st_size
        else:
            made.files[f"site/{inside}"] = path
    for inside in [name for name in made.files if name.endswith(".dist-info/RECORD")]:
        # the list of a package's files, without those that were left out
        listed = made.files[inside].read_text().splitlines()
        kept = [f"{line}\n" for line in listed if f"site/{line.split(',')[0]}" in made.files]
        made.files[inside] = "".join(kept).encode()
    return made


def why_not(name: str, target: Target) -> str | None:
    """Why this file of a package is left out, if it is."""
    if _BUILDS.search(name) and not (target.cuda and name.endswith(f"_cuda{target.cuda.replace('.', '')}.so")):
        return "bitsandbytes' libraries for other devices"
    return "tests inside packages, caches, type stubs, launchers" if PRUNED.search(name) else None
