"""The ratios of a comparison with their intervals as one picture: a line a metric of a trial, on one logarithmic axis.

Places are percent of the picture's width; the template draws them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mic2e_bench.tools.compare.thresholds import RATIOS
from mic2e_bench.tools.compare.verdict import Verdict

MOST = 40  # lines
TICKS = (-90, -75, -50, -25, -10, -5, 0, 5, 10, 25, 50, 100, 200, 400, 900)  # percent
APART = 16.0  # percent of the width between two ticks with names
MARGIN = 0.04


def plot(verdicts: Sequence[Verdict]) -> dict[str, Any] | None:
    """``lines``, ``ticks`` and ``left_out`` of the first ``MOST`` ratios; ``None`` where there is none."""
    ratios = [one for one in verdicts if one.metric in RATIOS and one.change is not None]
    seen = ratios[:MOST]
    if not seen:
        return None
    ends = [_log(end) for one in seen for end in (*_ends(one), one.threshold, -one.threshold)]
    low, high = min(ends), max(ends)
    room = MARGIN * (high - low) or 0.05

    def place(percent: float) -> float:
        share = (_log(percent) - low + room) / (high - low + 2 * room)
        return round(100 * min(1.0, max(0.0, share)), 2)

    lines = [
        {
            "one": one, "at": place(one.change), "ends": list(map(place, one.ci95)) if one.ci95 else None,
            "band": [place(-one.threshold), place(one.threshold)],
        }
        for one in seen
    ]  # fmt: skip
    return {"lines": lines, "none": place(0.0), "ticks": _ticks(place), "left_out": len(ratios) - len(seen)}


def _ends(one: Verdict) -> tuple[float, ...]:
    return (one.change, *(one.ci95 or ()))


def _log(percent: float) -> float:
    """The logarithm of the ratio that a change in percent is; a threshold of 100 % and more has no lower end."""
    return math.log(max(0.01, 1 + percent / 100))


def _ticks(place: Any) -> list[tuple[float, str]]:
    """Places and names of the axis: no change first, then what has room."""
    chosen: list[tuple[float, str]] = []
    for percent in sorted(TICKS, key=abs):
        at = place(percent)
        if 3 < at < 97 and all(abs(at - other) >= APART for other, _ in chosen):
            sign = "+" if percent > 0 else "−" if percent < 0 else ""
            chosen.append((at, f"{sign}{abs(percent)} %" if percent else "0"))
    return sorted(chosen)
