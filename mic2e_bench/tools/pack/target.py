"""The machine that is packed for: its Python, its torch, the CUDA of that, and the packages that it has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mic2e_bench import files
from mic2e_bench.errors import BadInput, unknown

PYTHONS, TORCH = ("3.11", "3.12", "3.13"), "2.11"
# the CUDA that PyTorch's own wheels of a release are built for
CUDA = {"2.10": "12.8", "2.11": "13.0"}
IMAGE = Path(__file__).with_name("image.txt")
_LINE = re.compile(r"([A-Za-z0-9][\w.-]*)(?:==(\S+)| @ \S+)?$")


@dataclass(frozen=True)
class Target:
    """``has``: package (normalised name) to version, ``None`` where that is not known; ``cuda`` is ``None`` for a
    torch without it.
    """

    python: str
    torch: str
    cuda: str | None
    has: dict[str, str | None]

    @property
    def markers(self) -> dict[str, str]:
        """The variables of requirement markers there."""
        return {
            "python_version": self.python, "python_full_version": f"{self.python}.0", "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0", "platform_python_implementation": "CPython",
            "sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64", "os_name": "posix",
            "platform_release": "", "platform_version": "", "extra": "",
        }  # fmt: skip


def read(python: str, torch: str | None, has: Path | None) -> Target:
    """The target; ``torch`` is of the ``pip freeze`` in ``has``, where there is one. Raises ``BadInput``."""
    if python not in PYTHONS:
        raise unknown("Python", python, PYTHONS, "--python")
    packages = freeze(has or IMAGE)
    there = packages["torch"] if has else None
    if torch and there and release(there) != release(torch):
        raise BadInput(f"--torch {torch}: {has} has torch {there}. Leave one of the two out.")
    torch = there or torch or TORCH
    return Target(python, torch, _cuda(torch), {**packages, "torch": torch})


def freeze(path: Path) -> dict[str, str | None]:
    """The packages of a file that ``pip freeze`` wrote. Raises ``BadInput`` naming the line."""
    found = {}
    for number, line in enumerate(files.read_text(path, "--has").splitlines(), 1):
        line = line.partition("#")[0].strip()
        if not line or line.startswith("-"):  # an editable install, an option
            continue
        match = _LINE.match(line)
        if not match:
            raise BadInput(f"--has {path}, line {number}: '{line}' is no line of `pip freeze` (name==version).")
        found[normal(match[1])] = match[2]
    if "torch" not in found:
        raise BadInput(f"--has {path}: no torch in it. A machine without PyTorch cannot be packed for.")
    return found


def normal(name: str) -> str:
    """A package's name as the index and the lock write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def release(version: str) -> str:
    """``2.11`` of ``2.11.0+cu130``."""
    return ".".join(version.partition("+")[0].split(".")[:2])


def _cuda(torch: str) -> str | None:
    label = torch.partition("+")[2]
    if built := re.fullmatch(r"cu(\d+)(\d)", label):
        return f"{built[1]}.{built[2]}"
    if label:  # +cpu, say
        return None
    if release(torch) not in CUDA:
        known = ", ".join(CUDA)
        raise BadInput(f"--torch {torch}: its CUDA is not known here. Known: {known}; or write it whole: 2.11.0+cu130.")
    return CUDA[release(torch)]
