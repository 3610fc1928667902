"""Who runs the notebook: a person in JupyterLab, or papermill with parameters of its own."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from typing import Any

from IPython import get_ipython

from mic2e_bench.errors import unknown

INJECTED = "# Parameters"  # how papermill begins the cell with what it was given


def is_there() -> bool:
    """Whether somebody sits in front of it, so that widgets can be moved: the one who asked can be asked back."""
    shell = get_ipython()
    if shell is None or not hasattr(shell, "get_parent"):
        return False
    return bool(shell.get_parent().get("content", {}).get("allow_stdin"))


def is_by_hand(keys: Collection[str]) -> bool:
    """Whether a notebook runs whose parameters a person wrote: papermill gave none of ``keys``."""
    shell = get_ipython()
    return shell is not None and not any(name in keys for name in _given(shell.user_ns.get("In", ()))[0])


def check_parameters(history: Sequence[str]) -> None:
    """Raise ``BadInput`` where papermill gave a parameter that the notebook has not.

    ``history`` are the cells that ran so far, which IPython has as ``In``.
    """
    given, known = _given(history)
    for name in given:
        if name not in known:
            raise unknown("parameter", name, known, "papermill")


def _given(history: Sequence[str]) -> tuple[list[str], set[str]]:
    """The names that papermill's cell assigns, and those that the cells before it do; none where there is no such."""
    known: set[str] = set()
    for source in history:
        if source.startswith(INJECTED):
            return _assigned(source), known
        known.update(_assigned(source))
    return [], known


def _assigned(source: str) -> list[str]:
    """The names that a cell assigns."""
    try:
        lines: list[Any] = ast.parse(source).body
    except SyntaxError:  # a cell may have what only IPython reads
        return []
    targets = (target for line in lines if isinstance(line, ast.Assign) for target in line.targets)
    return [target.id for target in targets if isinstance(target, ast.Name)]
