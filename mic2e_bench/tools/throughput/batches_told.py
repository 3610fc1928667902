"""What the runs of batches say: images a minute, latencies, the knee, and the best within a limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mic2e_bench import statistics, units
from mic2e_bench.report.tabular import columns
from mic2e_bench.tools.throughput import percentiles
from mic2e_bench.tools.throughput.record import ThroughputRecord

HEADER = ("batch", "in flight", "images/min", "p50 s", "p95 s", "p99 s", "held MiB", "pictures", "")
KNEE = "<- knee"
P99_NEEDS = 100  # calls: of fewer none lies beyond it
Condition = tuple[int, int]  # images of a call, calls at once


def text(one: ThroughputRecord) -> str:
    """The table of a study and its answer."""
    measured = fine(one.runs)
    bend = knee(measured)
    rows = [_row(key, runs, one, bend) for key, runs in conditions(one.runs).items()]
    lines = ["measured, [95 % interval over fresh builds]:", columns(rows, HEADER)]
    if bend:
        lines.append(f"{KNEE[3:]}: the smallest whose images a minute cannot be told from the best's, or are the best")
    if measured and (fewest := min(len(run["latency_s"]) for runs in measured.values() for run in runs)) < P99_NEEDS:
        lines.append(f"p99: of {P99_NEEDS} calls a run at least; here are {fewest}")
    lines += [f"a process died and was replaced: {why}" for why in one.raw.get("died", ())]
    return "\n".join([*lines, *answers(measured, one)])


def conditions(runs: Sequence[Mapping[str, Any]]) -> dict[Condition, list[Mapping[str, Any]]]:
    """The runs of each batch and number in flight, in their order, from small to large."""
    found: dict[Condition, list[Mapping[str, Any]]] = {}
    for run in sorted(runs, key=lambda run: (run["in_flight"], run["batch"], run["run"])):
        found.setdefault((run["batch"], run["in_flight"]), []).append(run)
    return found


def fine(runs: Sequence[Mapping[str, Any]]) -> dict[Condition, list[Mapping[str, Any]]]:
    """The same of those whose runs all went as asked."""
    return {key: each for key, each in conditions(runs).items() if all(run["status"] == "ok" for run in each)}


def per_minute(run: Mapping[str, Any]) -> float:
    """Images a minute of one run."""
    return 60 * run["batch"] * len(run["latency_s"]) / run["wall_s"]


def knee(measured: Mapping[Condition, Sequence[Mapping[str, Any]]]) -> Condition | None:
    """The smallest condition that is not told apart from the one with the most images a minute, by the runs' pairs."""
    if len(measured) < 2:
        return None
    best = max(measured, key=lambda key: np.median([per_minute(run) for run in measured[key]]))
    for key in sorted(measured, key=lambda key: (key[0] * key[1], key)):
        _, ends = against(measured[best], measured[key])
        if ends is None:  # too few runs to say
            return None
        if key == best or ends[0] <= 1:
            return key
    return best


def against(mine: Sequence[Mapping[str, Any]], its: Sequence[Mapping[str, Any]]) -> tuple[float, list[float] | None]:
    """The ratio of images a minute, run by run, with its interval."""
    logs = [np.log(per_minute(one) / per_minute(other)) for one, other in zip(mine, its, strict=True)]
    centre, ends = statistics.paired(logs)
    return float(np.exp(centre)), ends and np.exp(ends).tolist()


def _row(key: Condition, runs: Sequence[Mapping[str, Any]], one: ThroughputRecord, bend: Condition | None) -> list[str]:
    failed = next((run for run in runs if run["status"] != "ok"), None)
    if failed:
        return [*map(str, key), f"{failed['status']}: {failed.get('reason', '')}"[:60], *[units.NONE] * 5, ""]
    shown = [percentiles.of_runs([run["latency_s"] for run in runs], share) for share in percentiles.SHARES.values()]
    rate = percentiles.over_runs([per_minute(run) for run in runs])
    held = units.digits(max(run["held_bytes"] for run in runs) / units.MIB)
    price = one.raw.get("prices", {}).get(str(key[0])) if key[1] == 1 else None
    mark = KNEE if key == bend else ""
    return [*map(str, key), rate.text(), *(figure.text() for figure in shown), held, said(price), mark]


def said(price: Mapping[str, Any] | None) -> str:
    """The price of a batch in pictures, in words."""
    if not price or not price["images"]:
        return units.NONE
    if price["identical"] == price["images"]:
        return "identical"
    shown = f"off by up to {price['largest']} of 255, {units.digits(price['psnr_db'])} dB"
    return f"{shown}, FLIP {units.digits(price['flip'], 2)}"


def answers(measured: Mapping[Condition, Sequence[Mapping[str, Any]]], one: ThroughputRecord) -> list[str]:
    """What to set: without a limit, and within the limit of latency that was asked for."""
    if not measured:
        return []
    limits = [None] if one.asked["max_latency_s"] is None else [one.asked["max_latency_s"], None]
    lines, first = [], measured.get((1, 1))
    for limit in limits:
        within = {key: runs for key, runs in measured.items() if limit is None or _within(runs, limit)}
        name = f"within {units.digits(limit)} s (p95)" if limit else "without a limit"
        if not within:
            lines.append(f"{name}: nothing that was measured")
            continue
        best = max(within, key=lambda key: np.median([per_minute(run) for run in within[key]]))
        line = f"{name}: batch {best[0]}, {best[1]} in flight"
        if first and best != (1, 1):
            ratio, ends = against(within[best], first)
            shown = f" [{', '.join(map(units.digits, ends))}]" if ends else ""
            line += f", {units.digits(ratio)}x{shown} the images a minute of batch 1"
            price = one.raw.get("prices", {}).get(str(best[0])) if best[1] == 1 else None
            line += f"; pictures {said(price)}" if price else ""
            line += "; its interval does not exclude 1: no gain is shown" if ends and ends[0] <= 1 else ""
        lines.append(line)
    return lines


def _within(runs: Sequence[Mapping[str, Any]], limit: float) -> bool:
    """Whether the p95 is below the limit, the whole of its interval where there is one."""
    figure = percentiles.of_runs([run["latency_s"] for run in runs], percentiles.SHARES["p95"])
    return figure.value is not None and (figure.interval[1] if figure.interval else figure.value) <= limit
