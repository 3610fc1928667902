"""Settings that cannot be in force together: one table, read by ``plan`` before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mic2e_bench.pipeline import Pipeline


@dataclass(frozen=True)
class Conflict:
    """A row: the settings it speaks of, a test over the resolved settings and the pipeline, and the reason."""

    settings: tuple[str, ...]
    clash: Callable[[Mapping[str, Any], Pipeline], bool]
    reason: str


CONFLICTS: tuple[Conflict, ...] = (
    Conflict(
        ("attention",),
        lambda s, p: p.family == "segmenter" and s["attention"].startswith("sliced"),
        "transformers' SAM3 has no attention slicing; use native or math",
    ),
)


def find(settings: Mapping[str, Any], pipeline: Pipeline) -> str | None:
    """The reason why these settings cannot be in force together, or ``None``."""
    for row in CONFLICTS:
        if all(name in settings for name in row.settings) and row.clash(settings, pipeline):
            return f"{' + '.join(f'{name} {settings[name]}' for name in row.settings)}: {row.reason}"
    return None
