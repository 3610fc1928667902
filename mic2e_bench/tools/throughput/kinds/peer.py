"""Our pipeline against another server on the same work: ComfyUI, or a plain endpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mic2e_bench import statistics, texts, units
from mic2e_bench.report.tabular import columns
from mic2e_bench.tools.throughput import percentiles
from mic2e_bench.tools.throughput.kind import Figure, Job, Kind, Point
from mic2e_bench.tools.throughput.peers import asked
from mic2e_bench.tools.throughput.record import ThroughputRecord
from mic2e_bench.tools.throughput.requests import of_columns

HEADER = ("server", "side", "calls", "images/min", "service p50", "latency p50", "p95", "p99")


def measure(point: Point, job: Job) -> dict[str, Any]:
    """See ``peers/measuring``."""
    from mic2e_bench.tools.throughput.peers import measuring  # what it needs is imported when it is needed

    return measuring.measure(point, job)


def text(records: Sequence[ThroughputRecord]) -> str:
    """A line for each side of every server, then how they compare and what is not equal."""
    rows = [_row(one, side) for one in records for side in ("ours", "theirs") if one.status == "ok"]
    lines = [columns(rows, HEADER, left=(0, 1)) if rows else "nothing was measured"]
    for one in records:
        if one.status == "ok":
            lines += _answer(one)
    return "\n".join(texts.one_line(line) if "\n" not in line else line for line in lines)


def _row(one: ThroughputRecord, side: str) -> list[str]:
    runs = [run for run in one.runs if run["side"] == side]
    answers = [of_columns(run["answers"]) for run in runs]
    rates = [len(run["answers"]["status"]) / run["took_s"] * 60 for run in runs]
    latency = [[answer.latency_s for answer in run] for run in answers]
    service = [[answer.service_s for answer in run] for run in answers]
    shown = [percentiles.over_runs(rates), percentiles.of_runs(service, 0.5)]
    shown += [percentiles.of_runs(latency, share) for share in percentiles.SHARES.values()]
    return [one.label, side, str(sum(map(len, answers))), *(figure.text() for figure in shown)]


def _answer(one: ThroughputRecord) -> list[str]:
    figure = _figure(one)
    interval = f" [{', '.join(units.digits(end) for end in figure.ci95)}]" if figure.ci95 else f" ({figure.why})"
    lines = [f"ours is {units.digits(figure.value)}{interval} times as fast as {_name(one)}, by service time"]
    for name, said in (("as_measured", "pictures"), ("with_the_mean", "pictures, ours with the autoencoder's mean")):
        if apart := one.raw.get("pictures", {}).get(name):
            most = f"{apart['most']} of 255 at most"
            same = apart["most"] == 0
            lines.append(f"{said}: " + ("identical" if same else f"PSNR {apart['psnr_db']:.1f} dB, {most} apart"))
    lines += [f"unequal: {line}" for line, _ in _unequal(one)]
    return lines


def _name(one: ThroughputRecord) -> str:
    version = (one.raw["server"].get("system") or {}).get("comfyui_version")
    return f"ComfyUI {version}" if version else f"the endpoint {one.asked['url']}"


def _unequal(one: ThroughputRecord) -> list[tuple[str, bool]]:
    """What is not equal and whether the times bear it: what was seen before, and what the calls showed."""
    lines = [(said["line"], said["bears"]) for said in one.raw["unequal"]]
    left_out = sorted({node for run in one.runs for node in run.get("left_out", ())})
    if left_out:
        lines.append((f"it did not run again in every call: {', '.join(left_out)}", False))
    if previews := sum(run.get("previews", 0) for run in one.runs):
        lines.append((f"it made and sent {previews} preview pictures", False))
    return lines


def _figure(one: ThroughputRecord) -> Figure:
    """How many times as fast as theirs ours is, by the service times of runs that followed each other."""
    middles: dict[str, dict[int, float]] = {"ours": {}, "theirs": {}}
    for run in one.runs:
        middles[run["side"]][run["run"]] = float(np.median(run["answers"]["service_s"]))
    ratios = [math.log(middles["theirs"][run] / middles["ours"][run]) for run in sorted(middles["ours"])]
    centre, interval = statistics.paired(ratios)
    faults = [line for line, bears in _unequal(one) if not bears]
    why = ""
    if faults:
        why = f"no verdict: {faults[0]}"
    elif one.asked["server"] == "endpoint":
        why = "no interval: it cannot be told to load its model anew, so its runs are of one build"
    elif interval is None:
        why = statistics.few(len(ratios), "run")
    ends = [math.exp(end) for end in interval] if interval and not why else None
    remark = "; ".join(line for line, bears in _unequal(one) if bears)
    return Figure("over_peer", math.exp(centre), ends, [one], why, f"against {_name(one)}: {remark}")


def figures(records: Sequence[ThroughputRecord]) -> list[Figure]:
    """Our speed over that of each ComfyUI; an endpoint says too little of itself for a claim."""
    return [_figure(one) for one in records if one.status == "ok" and one.asked["server"] == "comfyui"]


PEER = Kind(
    name="peer",
    about="the same work by our pipeline and by another server: ComfyUI over its API, or a plain endpoint",
    points=asked.points,
    measure=measure,
    text=text,
    figures=figures,
)
