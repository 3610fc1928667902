"""Monotone skipping: what ran out of memory at one size is not tried at a larger one with all other settings equal."""

from __future__ import annotations

from collections.abc import Iterable

from mic2e_bench.plan.settings import show
from mic2e_bench.plan.trial import Trial, fingerprint, identifying

SIZES = ("resolution", "batch")  # settings of which more needs more memory


def why(trial: Trial, too_large: Iterable[Trial]) -> str:
    """Why a trial cannot fit where these did not, naming the record of one; empty where it may."""
    small = next((one for one in too_large if larger(trial, one)), None)
    if small is None:
        return ""
    size = ", ".join(f"{name} {show(small.settings[name])}" for name in SIZES if name in small.settings)
    return f"{size} ran out of memory (record {small.id}), and this is larger; --force tries it all the same"


def larger(trial: Trial, other: Trial) -> bool:
    """Whether ``trial`` is ``other`` at a larger resolution or batch, a smaller of neither, and all else the same."""
    mine, its = _sizes(trial), _sizes(other)
    return mine != its and all(a >= b for a, b in zip(mine, its, strict=True)) and _rest(trial) == _rest(other)


def _sizes(trial: Trial) -> list[int]:
    """Short side, or height and width; images at once."""
    values = [trial.settings.get(name, 0) for name in SIZES]
    return [side for value in values for side in (value if isinstance(value, list) else [value])]


def _rest(trial: Trial) -> str:
    """All that has a part in how much memory a call needs, but for the sizes."""
    settings = {name: value for name, value in trial.settings.items() if name not in SIZES}
    return fingerprint(identifying({**trial.content, "settings": settings, "protocol": {}}))
