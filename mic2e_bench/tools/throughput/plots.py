"""The figures of throughput studies, a function a kind: records in, ``(what it shows, figure)`` out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from mic2e_bench import units
from mic2e_bench.catalog.models import sources
from mic2e_bench.report import figures
from mic2e_bench.report.draw import COLOURS, MARKERS, heading
from mic2e_bench.tools.throughput import batches_told, life_told, percentiles
from mic2e_bench.tools.throughput.pool import told
from mic2e_bench.tools.throughput.record import ThroughputRecord
from mic2e_bench.tools.throughput.requests import of_columns

WIDTH, HEIGHT = 11.0, 3.4  # inches
BELOW = {"loc": "outside lower left", "ncols": 6, "frameon": False, "fontsize": 8}  # of a legend
Drawn = Iterator[tuple[str, Figure]]


def of(records: Sequence[ThroughputRecord]) -> Drawn:
    """Every figure of the records of one study; none of a kind without one."""
    with_runs = [one for one in records if one.runs]
    for kind, draw in KINDS.items():
        if mine := [one for one in with_runs if one.kind == kind]:
            yield from draw(mine)


def batches(records: Sequence[ThroughputRecord]) -> Drawn:
    """Images a minute and latency over the batch, and over the images in flight; the knee has a ring."""
    for one in records:
        fine = batches_told.fine(one.runs)
        if not fine:
            continue
        bend = batches_told.knee(fine)
        with figures.sheet(WIDTH, HEIGHT, columns=2) as (figure, (rate, latency)):
            places = {key: place for place, key in enumerate(sorted(fine, key=lambda key: (key[1], key[0])))}
            values = {key: percentiles.over_runs(list(map(batches_told.per_minute, fine[key]))) for key in places}
            _points(rate, {places[key]: value for key, value in values.items()}, 0, line="")
            if bend:
                ring = {"ms": 16, "mfc": "none", "mec": COLOURS[5], "mew": 1.5, "ls": ""}
                rate.plot(places[bend], values[bend].value, "o", label="the knee", **ring)
                rate.legend(frameon=False)
            for index, (name, share) in enumerate(percentiles.SHARES.items()):
                shown = {
                    places[key]: percentiles.of_runs([run["latency_s"] for run in runs], share)
                    for key, runs in fine.items()
                }
                _points(latency, shown, index, name, line="")
            names = [f"batch {batch}" if count == 1 else f"{count} in flight" for batch, count in places]
            _named(rate, "images a minute", names)
            _named(latency, "latency in s", names)
            latency.legend(frameon=False)
            _title(figure, one, "batches and images in flight, with 95 % intervals over fresh builds")
        yield "images a minute and latency percentiles over batches and images in flight", figure


def lives(records: Sequence[ThroughputRecord]) -> Drawn:
    """Memory after each call, and what each request waited, for every rule of restarting."""
    shown = sorted((one for one in records if not one.asked.get("cold")), key=life_told.rank)
    if not shown:
        return
    with figures.sheet(WIDTH, HEIGHT, columns=2) as (figure, (memory, latency)):
        for index, one in enumerate(shown):
            run, colour = one.runs[0], COLOURS[index % len(COLOURS)]
            calls = np.arange(1, len(run["latency_s"]) + 1)
            memory.plot(calls, np.divide(life_told.memory(run), units.MIB), color=colour, lw=1.2, label=one.label)
            latency.plot(calls, run["latency_s"], ".", color=colour, ms=3, label=one.label)
        for axes, label in ((memory, f"{life_told.held_where(shown[0].runs[0])} in MiB"), (latency, "latency in s")):
            axes.set_title(label, loc="left", fontsize=10)
            axes.set_xlabel("calls")
        memory.set_ylim(0, 1.1 * memory.dataLim.ymax or 1)
        _logarithmic(latency)
        figure.legend(*memory.get_legend_handles_labels(), **BELOW)
        _title(figure, shown[0], "memory after each call, and what each request waited")
    yield "memory and latency over the calls of a worker that is kept, and of workers that are restarted", figure


def pools(records: Sequence[ThroughputRecord]) -> Drawn:
    """The p99 (the p95 of short runs) over the load, a line a policy, a panel a number of workers."""
    for one in records:
        opened = [runs for runs in told.conditions([run for run in one.runs if "load" in run])]
        workers = sorted({runs[0]["workers"] for runs in opened})
        if not workers:
            continue
        is_simulated = bool(one.raw.get("simulated"))
        with figures.sheet(WIDTH, HEIGHT, columns=len(workers)) as (figure, panels):
            name = next((name for name in ("p99", "p95") if told.percentile(opened[0], name).value is not None), "p50")
            for axes, count in zip(panels, workers, strict=True):
                lines: dict[str, dict[float, percentiles.Figure]] = {}
                for runs in (runs for runs in opened if runs[0]["workers"] == count):
                    lines.setdefault(runs[0]["policy"], {})[runs[0]["load"]] = told.percentile(runs, name)
                for index, (policy, points) in enumerate(lines.items()):
                    _points(axes, points, index, policy)
                axes.set_title(f"{count} worker{'' if count == 1 else 's'}", loc="left", fontsize=10)
                axes.set_xlabel("load")
                _logarithmic(axes)
            figure.legend(*axes.get_legend_handles_labels(), **BELOW)
            figure.supylabel(f"{name} of the latency in s", fontsize=9)
            kind = "SIMULATED with measured service times" if is_simulated else "measured on workers"
            _title(figure, one, f"{name} from the intended arrival on, by policy: {kind}")
        yield f"{'simulated ' if is_simulated else ''}latency percentiles over load by policy", figure


def models(records: Sequence[ThroughputRecord]) -> Drawn:
    """What requests waited whose model was loaded, and whose was not, and the memory that it took."""
    with figures.sheet(WIDTH, HEIGHT, columns=2) as (figure, (latency, memory)):
        for place, one in enumerate(records):
            run = one.runs[0]
            loaded = np.asarray(run["was_loaded"])
            for index, (name, which) in enumerate((("was loaded", loaded), ("had to load", ~loaded))):
                waited = np.asarray(run["latency_s"])[which]
                spread = place + 0.3 * index - 0.15 + np.linspace(-0.1, 0.1, len(waited))
                latency.plot(spread, waited, ".", color=COLOURS[index], label=name if place == 0 else None)
            memory.bar(place, max(run["held_bytes"]) / units.MIB, 0.6, color=COLOURS[0])
        names = [one.label for one in records]
        _named(latency, "what a request waited, in s", names)
        _named(memory, "most memory held, in MiB", names)
        _logarithmic(latency)
        latency.legend(frameon=False)
        _title(figure, records[0], "several models: kept, or loaded when they are wanted")
    yield "latency of requests whose model was loaded and of those that had to load it, and the memory held", figure


def peers(records: Sequence[ThroughputRecord]) -> Drawn:
    """What each call took by the server's own clock and by that of who asked, run by run, ours and theirs."""
    for one in records:
        with figures.sheet(WIDTH, HEIGHT, columns=2) as (figure, panels):
            for axes, name in zip(panels, ("service", "latency"), strict=True):
                for index, (side, aside) in enumerate({"ours": -0.15, "theirs": 0.15}.items()):
                    mine = [run for run in one.runs if run["side"] == side]
                    calls = [(run["run"] + 1 + aside, call) for run in mine for call in of_columns(run["answers"])]
                    took = [getattr(call, f"{name}_s") for _, call in calls]
                    looks = {"ls": "", "marker": MARKERS[index], "color": COLOURS[index], "label": side}
                    axes.plot([place for place, _ in calls], took, **looks)
                axes.set_title(f"{name} in s", loc="left", fontsize=10)
                axes.set_xlabel("runs")
                axes.set_xticks(sorted({run["run"] + 1 for run in one.runs}))
                axes.set_ylim(0, 1.1 * axes.dataLim.ymax)
            panels[1].legend(frameon=False)
            _title(figure, one, f"each call, ours and that of the server at {one.asked['url']}")
        yield "service time and latency of each call of ours and of the other server, run by run", figure


KINDS: Mapping[str, Callable[[Sequence[ThroughputRecord]], Drawn]] = {
    "throughput": batches,
    "life": lives,
    "models": models,
    "pool": pools,
    "peer": peers,
}


def _points(
    axes: Axes, shown: Mapping[float, percentiles.Figure], index: int, label: str = "", line: str = "-"
) -> None:
    """Values with their intervals; what has none is left out."""
    there = {place: figure for place, figure in shown.items() if figure.value is not None}
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    looks: dict[str, Any] = {"color": colour, "marker": marker, "ms": 5, "ls": line, "lw": 1.2, "capsize": 3}
    if not there:
        return
    values = [figure.value for figure in there.values()]
    ends = [figure.interval or (figure.value, figure.value) for figure in there.values()]
    below, above = ([abs(value - end[side]) for value, end in zip(values, ends, strict=True)] for side in (0, 1))
    axes.errorbar(list(there), values, [below, above], label=label or None, **looks)


def _named(axes: Axes, title: str, names: Sequence[str]) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylim(bottom=0)


def _logarithmic(axes: Axes) -> None:
    """A scale for what differs by factors, with plain numbers: the house style reads no mathematics."""
    axes.set_yscale("log")
    axes.autoscale(axis="y")
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")


def _title(figure: Figure, one: ThroughputRecord, what: str) -> None:
    failed = f"; {one.status}" if one.status != "ok" else ""
    heading(figure, f"{one.pipeline}: {what}", f"{sources.label(one.model)}{failed}")
