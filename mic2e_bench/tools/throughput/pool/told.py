"""What the runs of a pool say: images a minute, waiting, percentiles over runs, scaling, and the best policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mic2e_bench import statistics, units
from mic2e_bench.report.tabular import columns
from mic2e_bench.tools.throughput import percentiles
from mic2e_bench.tools.throughput.kind import Figure
from mic2e_bench.tools.throughput.pool import simulated
from mic2e_bench.tools.throughput.pool.policies import POLICIES
from mic2e_bench.tools.throughput.pool.real import CLOSED, images_per_minute
from mic2e_bench.tools.throughput.record import ThroughputRecord

ON_SCHEDULE_S = 0.001
RISING = "↑"  # beside a mean
HEADER = ("workers", "policy", "load", "images/min", "p50 s", "p95 s", "p99 s", "mean waiting s")


def text(records: Sequence[ThroughputRecord]) -> str:
    """A table for the real pool and one for the simulated one, each with its answer."""
    parts = []
    for one in (each for each in records if each.runs and each.status == "ok"):
        rows = [row(runs, one) for runs in conditions(one.runs)]
        parts += [TITLES[bool(one.raw.get("simulated"))], columns(rows, HEADER), *answer(one)]
    return "\n".join(parts)


TITLES = {
    False: "measured, [95 % interval over runs]; latency counts from the intended arrival:",
    True: "SIMULATED with measured service times, [95 % interval over runs]:",
}


def conditions(runs: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The runs of each number of workers, of clients or load, and policy, in their order, sorted."""
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for run in runs:
        key = (run["workers"], run.get("load") or 0.0, run.get("clients") or 0, run["policy"])
        found.setdefault(key, []).append(run)
    return [sorted(found[key], key=lambda run: run["run"]) for key in sorted(found)]


def row(runs: Sequence[Mapping[str, Any]], one: ThroughputRecord) -> list[str]:
    """A line of the table."""
    first = runs[0]
    load = f"{first['clients']} clients" if "clients" in first else units.digits(first["load"], 2)
    rate = percentiles.over_runs([images_per_minute(run["answers"]) for run in runs]) if "clients" in first else None
    shown = [percentile(runs, name) for name in percentiles.SHARES]
    waiting = percentiles.over_runs([mean_waiting(run) for run in runs])
    figures = [figure.text() for figure in (*shown, waiting)]
    figures[-1] += RISING if is_rising(runs) else ""
    return [str(first["workers"]), first["policy"], load, rate.text() if rate else units.NONE, *figures]


def is_rising(runs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether simulated requests certainly waited longer in the later half of the runs: longer runs would show more."""
    ends = percentiles.over_runs([run.get("rising_s") for run in runs]).interval
    return bool(ends and ends[0] > 0)


def percentile(runs: Sequence[Mapping[str, Any]], name: str) -> percentiles.Figure:
    """p50, p95 or p99 of the latency in seconds, over runs."""
    if "answers" not in runs[0]:
        return percentiles.over_runs([run[f"{name}_s"] for run in runs])
    return percentiles.of_runs([latency(run) for run in runs], percentiles.SHARES[name])


def latency(run: Mapping[str, Any]) -> list[float]:
    """Seconds from each request's intended arrival to its answer."""
    return np.subtract(run["answers"]["ended_s"], run["answers"]["intended_s"]).tolist()


def mean_waiting(run: Mapping[str, Any]) -> float:
    """Seconds of the latency that were no service, on average."""
    if "answers" not in run:
        return run["mean_waiting_s"]
    return float(np.mean(latency(run)) - np.mean(run["answers"]["service_s"]))


def scaling(one: ThroughputRecord) -> Figure | None:
    """Images a minute of the most workers over so many times those of one, run by run; ``None`` without both."""
    busy = [run for run in one.runs if run.get("clients") == run["workers"] and run["policy"] == CLOSED]
    closed = {runs[0]["workers"]: runs for runs in conditions(busy)}
    most = max(closed, default=1)
    if one.raw.get("simulated") or one.status != "ok" or most == 1 or 1 not in closed:
        return None
    pairs = zip(closed[most], closed[1], strict=True)
    rates = [(images_per_minute(many["answers"]), images_per_minute(single["answers"])) for many, single in pairs]
    logs = [np.log(many / (most * single)) for many, single in rates]
    centre, ends = statistics.paired(logs)
    why = "" if ends else statistics.few(len(logs), "run")
    return Figure("scaling", float(np.exp(centre)), ends and np.exp(ends).tolist(), [one], why, f"{most} workers")


def answer(one: ThroughputRecord) -> list[str]:
    """The answers in a line each."""
    lines = []
    if found := scaling(one):
        ends = f" [{', '.join(map(units.digits, found.ci95))}]" if found.ci95 else f" (no interval: {found.why})"
        lines.append(f"{found.remark}: {units.digits(found.value)}{ends} of linear scaling (1 would be linear)")
    lines += [f"{name}: {line}" for name in ("p95", "p99") if (line := best(one, name))]
    if found := agreement(one):
        lines.append(
            f"simulated with the same arrivals and busy times, the mean waiting is {found.text()}x the measured"
        )
    if any(map(is_rising, conditions(one.runs))):
        lines.append(
            f"{RISING} still rises at the end of a run of {one.asked['requests']} requests: longer runs wait longer"
        )
    return lines + said_of_workers(one)


def said_of_workers(one: ThroughputRecord) -> list[str]:
    """What a reader of a real pool's figures has to know of its workers, its pictures and its load."""
    if "share" not in one.raw:
        return []
    share = one.raw["share"]
    cores = f"{share['num_cpus']:g} processors (threads: {share['threads']})"
    lines = [f"each worker has {'a GPU' if share['num_gpus'] else cores}, also where it is alone"]
    lines.append(f"{one.raw['seeds_differing']} of {one.raw['seeds']} pictures differ between workers or runs")
    if died := sum(run["replaced"] for run in one.runs):
        lines.append(f"{died} workers died and were replaced")
    late = max((run["late_p99_s"] for run in one.runs if "late_p99_s" in run), default=0.0)
    if late > ON_SCHEDULE_S:
        lines.append(f"the load itself was up to {units.digits(late * 1000)} ms late (p99 of the worst run)")
    return lines


def agreement(one: ThroughputRecord) -> percentiles.Figure | None:
    """Mean waiting of the simulation over that of the real pool, of its runs with the most workers; ``None`` without.

    Both count from the intended arrival until the worker has the request; it is busy until its answer is here.
    """
    opened = [run for run in one.runs if "answers" in run and "load" in run]
    opened = [run for run in opened if not run["replaced"] and not run["failed"]]
    most = max((run["workers"] for run in opened), default=0)
    ratios: dict[int, list[float]] = {}
    for run in (run for run in opened if run["workers"] == most):
        due, sent, ended = (run["answers"][name] for name in ("intended_s", "sent_s", "ended_s"))
        again = simulated.waiting_s(due, np.subtract(ended, sent), most, POLICIES[run["policy"]](run["run"]))
        ratios.setdefault(run["run"], []).append(float(np.sum(again) / np.sum(np.subtract(sent, due))))
    return percentiles.over_runs([float(np.median(each)) for each in ratios.values()]) if ratios else None


def best(one: ThroughputRecord, name: str) -> str:
    """How the shared queue compares with the guides' policies at the highest load and with the most workers."""
    opened = [runs for runs in conditions([run for run in one.runs if "load" in run])]
    if not opened or opened[-1][0]["workers"] == 1:
        return ""
    top = opened[-1][0]["workers"], opened[-1][0]["load"]
    runs = {each[0]["policy"]: each for each in opened if (each[0]["workers"], each[0]["load"]) == top}
    if "first_free" not in runs or len(runs) == 1:
        return ""
    said = []
    for policy in (policy for policy in runs if policy != "first_free"):
        values = [[_of(run, name) for run in runs[each]] for each in (policy, "first_free")]
        if None in values[0] + values[1]:
            return ""
        centre, ends = statistics.paired(np.log(values[0]) - np.log(values[1]))
        shown = f" [{', '.join(units.digits(end) for end in np.exp(ends))}]" if ends else ""
        said.append(f"{policy} {units.digits(float(np.exp(centre)))}x{shown}")
    return f"{top[0]} workers at load {units.digits(top[1], 2)}, against first_free: {', '.join(said)}"


def _of(run: Mapping[str, Any], name: str) -> float | None:
    if "answers" not in run:
        return run[f"{name}_s"]
    return percentiles.of_run(latency(run), percentiles.SHARES[name])
