"""When requests arrive: seconds from the start of a run, not falling, ``rate`` of them a second on average.

``poisson``, ``{bursts: SIZE}`` or ``{trace: FILE}``. Of a recorded trace the gaps are kept in their proportions and
scaled to the rate, so that one trace serves every load.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mic2e_bench import files, paths
from mic2e_bench.errors import BadInput
from mic2e_bench.units import whole

MOST = 100_000  # of a trace


def check(value: Any, where: str) -> dict[str, Any]:
    """What a params file says of arrivals, as ``times`` takes it; a trace with its times. Raises ``BadInput``."""
    if value == "poisson":
        return {"poisson": True}
    if isinstance(value, Mapping) and list(value) == ["bursts"]:
        return {"bursts": whole(value["bursts"], 2, 1000, f"{where}: bursts")}
    if isinstance(value, Mapping) and list(value) == ["trace"]:
        return {"trace": _trace(value["trace"], f"{where}: trace")}
    raise BadInput(f"{where}: {value!r} is not poisson, {{bursts: SIZE}} or {{trace: FILE}}.")


def times(kind: Mapping[str, Any], rate: float, count: int, seed: int) -> list[float]:
    """So many arrivals; the same of each seed, whatever the rate, but for their scale."""
    if "bursts" in kind:
        return bursts(rate, count, kind["bursts"], seed)
    return traced(rate, count, kind["trace"]) if "trace" in kind else poisson(rate, count, seed)


def poisson(rate: float, count: int, seed: int) -> list[float]:
    """Arrivals that know nothing of each other."""
    return (np.cumsum(np.random.default_rng(seed).exponential(1.0, count)) / rate).tolist()


def bursts(rate: float, count: int, size: int, seed: int) -> list[float]:
    """So many at once, the bursts as far apart as Poisson's arrivals are."""
    starts = poisson(rate / size, math.ceil(count / size), seed)
    return [start for start in starts for _ in range(size)][:count]


def traced(rate: float, count: int, recorded: list[float]) -> list[float]:
    """A recorded trace from its first arrival on, again and again where it is too short, at this rate."""
    gaps = np.diff([0.0, *recorded])
    repeated = np.resize(gaps, count)
    return (np.cumsum(repeated) / (repeated.mean() * rate)).tolist()


def _trace(given: Any, where: str) -> list[float]:
    """A file with a time in seconds a line, rising; what it says is data."""
    path = paths.find(str(given), where)
    lines = [line.strip() for line in files.read_text(path, where).splitlines() if line.strip()]
    found: list[float] = []
    for number, line in enumerate(lines, 1):
        try:
            second = float(line)
        except ValueError:
            second = math.nan
        if not math.isfinite(second) or second < (found[-1] if found else 0.0):
            raise BadInput(
                f"{where}: {path}, line {number}: {line[:50]!r} is no time in seconds, or is before the last."
            )
        found.append(second)
    if not 2 <= len(found) <= MOST or found[-1] == 0:
        raise BadInput(f"{where}: {path}: {len(found)} arrivals; write 2 to {MOST:,} times in seconds, a line each.")
    return found
