"""Folders as the parameters of a notebook name them, wherever its kernel runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mic2e_bench import documents, paths


def results_of(given: Any) -> Path:
    """The results folder; a relative one is the workbench's, also where the kernel runs in notebooks/."""
    return paths.root() / paths.results_of(given if given is None else documents.named(given, "parameters: results"))


def from_root(value: Any) -> Any:
    """A folder as a params file names it, relative to the workbench, also where the kernel runs in notebooks/."""
    if isinstance(value, Mapping):
        return {**value, "source": from_root(value.get("source", "bundled"))}
    if not isinstance(value, str):
        return value
    under = paths.root() / value
    return str(under) if not os.path.exists(value) and os.path.isdir(under) else value
