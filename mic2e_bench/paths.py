"""Where the workbench lies: the folder with ``params/``, ``notebooks/`` and ``results/``."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
BUNDLED = PACKAGE / "bundled"  # models, inputs and the network of the perceptual metric that come with the package
EVIDENCE = "evidence"  # the folder beside the studies with the records that are kept in the repository


def root() -> Path:
    """The nearest folder, from the working folder upwards, that has ``params/`` and ``notebooks/``.

    Outside a workbench it is the one that this package was installed from, or else the working folder; so a notebook
    started in ``notebooks/`` and a command started above it work on the same results.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, PACKAGE.parent):
        if (folder / "params").is_dir() and (folder / "notebooks").is_dir():
            return folder
    return here


def find(path: str) -> Path:
    """A path that a params file names: as it is from the working folder, else from the workbench's root."""
    given = Path(os.path.expanduser(path))
    return given if given.is_absolute() or os.path.exists(given) else root() / given


def results() -> Path:
    """The default results folder."""
    return root() / "results"


def cache() -> Path:
    """Where engines and compiled kernels are kept from run to run: ``$XDG_CACHE_HOME/mic2e-bench``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mic2e-bench"
