"""What a worker's life says: slopes with intervals, and the price of restarts.

Memory moves in steps and each call begins where the last one ended, so calls are no independent samples. The increments
of blocks of calls are nearly so: the slope is the centre of their increments, with the exact interval of
``statistics.paired``; of fewer than six increments there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mic2e_bench import statistics, units
from mic2e_bench.report.tabular import columns
from mic2e_bench.tools.throughput import percentiles
from mic2e_bench.tools.throughput.kind import Figure
from mic2e_bench.tools.throughput.record import ThroughputRecord

BLOCKS = 10  # of a life; the first one, in which pools and caches fill, is left out
COLD = "a new interpreter, weight files out of the page cache"
WARM = "forked with the libraries, weight files as the machine has them"
PER = 100  # calls that growth is told for
HEADER = ("", "calls/min", "p50 s", "p95 s", "held MiB", "memory KiB/call", "latency us/call", "restarts", "restart s")


def text(records: Sequence[ThroughputRecord]) -> str:
    """A table of all rules of restarting, and what they answer."""
    rows, lines = [], []
    for one in (each for each in sorted(records, key=rank) if each.runs):
        rows.append(_row(one))
        lines += _answers(one)
    table = (
        [columns(rows, HEADER), "slopes with 95 % intervals over blocks of calls, in one process only"] if rows else []
    )
    return "\n".join([*table, *lines])


def rank(one: ThroughputRecord) -> tuple[bool, float]:
    """The order of rules: the shortest life first, cold restarts last."""
    after = one.asked["restart_after"]
    return bool(one.asked.get("cold")), float("inf") if after == "never" else after


def memory(run: Mapping[str, Any]) -> list[int]:
    """Bytes that the worker held after each call: on a GPU what its allocator had reserved."""
    return run.get("reserved_bytes") or run["rss_bytes"]


def held_where(run: Mapping[str, Any]) -> str:
    """What ``memory`` is of."""
    return "memory reserved on the GPU" if run.get("reserved_bytes") else "memory of the process (RSS)"


def fragmented(run: Mapping[str, Any]) -> list[int] | None:
    """Bytes that the allocator had reserved and nobody used; ``None`` on a CPU."""
    return np.subtract(run["reserved_bytes"], run["allocated_bytes"]).tolist() if "reserved_bytes" in run else None


def slope(values: Sequence[float]) -> percentiles.Figure:
    """The change a call, with its interval; ``None`` for both where there are too few calls for blocks."""
    steps = increments(values)
    return percentiles.Figure(*statistics.paired(steps)) if len(steps) else percentiles.Figure(None, None)


def increments(values: Sequence[float]) -> np.ndarray:
    """The change a call from each block of calls to the next, by their medians; none of too few calls."""
    length = len(values) // BLOCKS
    if length < 2:
        return np.array([])
    middles = [float(np.median(values[start : start + length])) for start in range(length, length * BLOCKS, length)]
    return np.diff(middles) / length


def growth(one: ThroughputRecord) -> Figure:
    """Memory after 100 more calls over that before, by the slope."""
    held = memory(one.runs[0])
    if len(one.runs[0]["starts"]) > 1:
        return Figure("growth", None, None, [one], "a worker died, so that no process made all calls")
    change = slope(held)
    if change.value is None:
        return Figure("growth", None, None, [one], f"{len(held)} calls are too few for a slope")
    first = float(np.median(held[len(held) // BLOCKS :]))
    ends = change.interval and [1 + PER * end / first for end in change.interval]
    why = "" if ends else "too few calls for an interval"
    return Figure("growth", 1 + PER * change.value / first, ends, [one], why, f"over {len(held)} calls")


def _row(one: ThroughputRecord) -> list[str]:
    run = one.runs[0]
    latency, whole_life = run["latency_s"], len(run["starts"]) == 1
    restarts = [start["start_s"] + start["end_s"] for start in run["starts"][1:]]
    shares = [percentiles.of_run(latency, percentiles.SHARES[name]) for name in ("p50", "p95")]
    held, time = (slope(memory(run)), slope(run["service_s"])) if whole_life else (percentiles.Figure(None, None),) * 2
    return [
        one.label,
        units.digits(60 * len(latency) / sum(latency)),
        *map(units.digits, shares),
        units.digits(max(memory(run)) / units.MIB),
        held.text(1 / 1024),
        time.text(1e6),
        str(len(run["starts"]) - 1),
        units.digits(float(np.median(restarts))) if restarts else units.NONE,
    ]


def _answers(one: ThroughputRecord) -> list[str]:
    """Does it leak, what dies, what a restart is made of."""
    run, lines = one.runs[0], []
    if len(run["starts"]) == 1:
        lines.append(f"{one.label}: {leak_said(slope(memory(run)), 'memory')}{_halves(memory(run))}")
        if fragments := fragmented(run):
            lines.append(f"{one.label}: {leak_said(slope(fragments), 'reserved and unused memory')}")
    elif len(run["starts"]) > 1:
        lines.append(f"{one.label}: {_restarts(one)}")
    lines += [f"{one.label}: a worker died: {why}" for why in run["died"]]
    return lines


def _restarts(one: ThroughputRecord) -> str:
    """What a request waits that finds the worker restarting, and what that time is made of."""
    run = one.runs[0]
    at = {start["at"] for start in run["starts"]}
    waits = [second for call, second in enumerate(run["latency_s"]) if call in at and call]
    if not waits:
        return "no request was answered after a restart"
    others = [second for call, second in enumerate(run["latency_s"]) if call not in at]
    said = f"a request that meets a restart waits {percentiles.Figure(*statistics.median(waits)).text()} s"
    said += f", another one {percentiles.Figure(*statistics.median(others)).text()} s" if others else ""
    load, end = (float(np.median([start[name] for start in run["starts"][1:]])) for name in ("load_s", "end_s"))
    kind = COLD if one.asked.get("cold") else WARM
    return f"{said}; of it {units.digits(load)} s loading, {units.digits(end)} s ending the old one ({kind})"


def _halves(held: Sequence[float]) -> str:
    """How much of a growth came early: what levels off is no leak."""
    if not (slope(held).interval or [0])[0] > 0:
        return ""
    early, late = (float(np.mean(half)) / 1024 for half in np.array_split(increments(held), 2))
    share = float(slope(held).value * PER / np.median(held))
    said = f"{units.digits(early)} in the first half of the calls, {units.digits(late)} in the second"
    return f" (on average {said}); {share:.2%} of it in {PER} calls"


def leak_said(change: percentiles.Figure, what: str) -> str:
    """The answer to "does it leak or fragment?", never beyond the interval."""
    if not change.interval:
        return f"{what}: too few calls to say whether it grows"
    low, high = (end / 1024 for end in change.interval)
    shown = f"{change.text(1 / 1024)} KiB a call"
    if low > 0:
        return f"{what} grows: {shown}"
    if high < 0:
        return f"{what} shrinks: {shown}"
    return f"no growth of {what} is shown: {shown}; more than {units.digits(max(high, 0.0))} KiB a call is excluded"
