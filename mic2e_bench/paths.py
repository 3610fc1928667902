"""Where the workbench lies: the folder with ``params/``, ``notebooks/`` and ``results/``."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from mic2e_bench import within
from mic2e_bench.errors import BadInput

PACKAGE = Path(__file__).resolve().parent
BUNDLED = PACKAGE / "bundled"  # models, inputs and the network of the perceptual metric that come with the package
SERVED = "throughput"  # the folder in a study's own with the records of throughput studies
EVIDENCE = "evidence"  # the folder beside the studies with the records that are kept in the repository


def root() -> Path:
    """The nearest folder, from the working folder upwards, that has ``params/`` and ``notebooks/``.

    Outside a workbench it is the one that this package was installed from, or else the working folder; so a notebook
    started in ``notebooks/`` and a command started above it work on the same results.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise BadInput("the working folder is there no longer: change to another one.") from None
    for folder in (here, *here.parents, PACKAGE.parent):
        if (folder / "params").is_dir() and (folder / "notebooks").is_dir():
            return folder
    return here


def find(path: str, where: str = "") -> Path:
    """A path that a params file names: as it is from the working folder, else from the workbench's root.

    Raises ``BadInput`` after ``where`` it is named.
    """
    given = expanded(path, where and f"{where}: ")
    return given if given.is_absolute() or os.path.exists(given) else root() / given


def expanded(path: str | Path, where: str = "") -> Path:
    """A path that a person gives, in which ``~`` is the home folder. Raises ``BadInput`` where that is not known."""
    if not str(path).strip() or "\0" in str(path):
        raise BadInput(f"{where}{str(path)!r} is no name of a file or folder.")
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no HOME, and a user without an entry in passwd
        raise BadInput(f"{where}{path}: the home folder is not known here (no HOME): give the whole path.") from None


def results_of(given: str | Path | None) -> Path:
    """The results folder that a person gives, or the default one; a relative one is from the working folder."""
    return results() if given is None else expanded(given)


def there(results: Path) -> Path:
    """The same results folder, which is there. Raises ``BadInput``."""
    if not results.is_dir():
        what = "it is no folder" if results.exists() else "no such results folder"
        raise BadInput(f"{results}: {what}. Give one: --results DIR.")
    return results


def is_name(text: str) -> bool:
    """Whether a study may have this name: it can be a folder's on every system, and leads nowhere else."""
    return bool(_NAME.fullmatch(text)) and len(text.encode(errors="replace")) <= 200


# none that is hidden, reads as an option, is a device on Windows, or is a folder that the program makes by itself
_TAKEN = rf"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?|images|logs|damaged|{EVIDENCE}"
_NAME = re.compile(rf"(?!(?i:{_TAKEN})\Z)\w(?:[\w.-]{{0,98}}[\w-])?")


def of_study(results: Path, study: str) -> Path:
    """The folder of a study under ``results``, there or not. Raises ``BadInput`` where it, or one in it, leads out."""
    folder = Path(results) / study
    if not all(map(is_name, study.removeprefix(f"{EVIDENCE}/").split("/"))):
        raise BadInput(f"'{study}' is no name of a study under {results}.")
    for place in (folder, *(folder / name for name in ("images", "logs", "damaged"))):
        if within.is_outside(place, Path(results)):
            raise BadInput(f"{place} is a link out of {results}: nothing is read or written there.")
    return folder


def results() -> Path:
    """The default results folder."""
    return root() / "results"


def cache() -> Path:
    """Where engines and compiled kernels are kept from run to run: ``$XDG_CACHE_HOME/mic2e-bench``."""
    base = Path(os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache"))
    return base / "mic2e-bench" if base.is_absolute() else Path(tempfile.gettempdir()) / f"mic2e-bench-{os.getuid()}"
