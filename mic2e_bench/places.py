"""Where the workbench lies: the folder with ``params/``, ``notebooks/`` and ``results/``."""

from __future__ import annotations

from pathlib import Path


def root() -> Path:
    """The nearest folder, from the working folder upwards, that has ``params/`` and ``notebooks/``.

    Outside a workbench it is the one that this package was installed from, or else the working folder; so a notebook
    started in ``notebooks/`` and a command started above it work on the same results.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parent.parent):
        if (folder / "params").is_dir() and (folder / "notebooks").is_dir():
            return folder
    return here


def results() -> Path:
    """The default results folder."""
    return root() / "results"
