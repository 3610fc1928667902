"""Who measured: a machine in a line, and where its packages are not the locked ones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mic2e_bench.machine import versions
from mic2e_bench.records.record import Record


def lines(records: Iterable[Record], lock: Path) -> list[str]:
    """A line for each device, driver, Python, PyTorch and commit of the records; ``lock`` is the hash-pinned list."""
    locked = _locked(lock)
    found: dict[str, None] = {}
    for one in records:
        here = one.environment
        packages = here.get("packages") or {}
        build = (here.get("torch_build") or {}).get("cuda")
        text = f"machine: {here.get('device')}, driver {here.get('driver') or 'none'}, Python {here.get('python')}, "
        text += f"torch {packages.get('torch', 'unknown')}{f' (CUDA {build})' if build else ''}, "
        text += f"commit {here.get('git') or 'unknown'}"
        found[f"{text}; {_differences(packages, locked)}"] = None
    return list(found)


def _locked(lock: Path) -> dict[str, list[str]]:
    """The versions of each package; there are several where they depend on Python's."""
    found: dict[str, list[str]] = {}
    with contextlib.suppress(OSError):
        for pin in versions.pins(lock.read_text(encoding="utf-8")):
            found.setdefault(pin.name, []).append(pin.version.partition("+")[0])
    return found


def _differences(packages: Mapping[str, Any], locked: Mapping[str, list[str]]) -> str:
    if not locked:
        return "no lock to compare with"
    others = [
        f"{name} {version} (locked: {' or '.join(locked[name])})"
        for name, version in packages.items()
        if name in locked and str(version).partition("+")[0] not in locked[name]
    ]
    return f"not the locked set: {', '.join(others)}" if others else "the locked set"
