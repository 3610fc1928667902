"""Figures of a study: speed, memory and quality against what was varied, and quality against latency.

Points of trials that did not run as asked are hollow; trials without a value keep their place, with their status.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mic2e_bench.plan.settings import show
from mic2e_bench.records import comparable
from mic2e_bench.report import draw, figures, placing
from mic2e_bench.report.draw import Panel
from mic2e_bench.report.findings import Findings
from mic2e_bench.report.metric_names import is_identical, title
from mic2e_bench.units import missing, scale

MOST_NAMED = 30  # points that all have their names; of more only the baseline and the front
MOST_FRONT = 40  # names of the front
MOST_COLOURS = 40  # lines that are told apart; more are points of one colour


def panels(found: Findings) -> list[Panel]:
    """Speed, memory and the quality that people look at first; those without a value are left out."""
    trials = found.trials
    factor, unit = scale("latency_s", trials["latency_s"])
    chosen = [Panel("latency_s", f"latency ({unit}) ↓", "latency_q1_s", "latency_q3_s", factor)]
    factor, unit = scale(found.memory, trials[found.memory])
    what = "peak VRAM, reserved" if "vram" in found.memory else "peak RSS of a call"
    noise = {one.id: comparable.memory_noise(one) for one in found.records.values()}
    noise = {id: bytes for id, bytes in noise.items() if bytes}
    chosen.append(Panel(found.memory, f"{what} ({unit}) ↓", factor=factor, noise=noise))
    return [panel for panel in (*chosen, *_quality(found)) if trials[panel.column].notna().any()]


def _quality(found: Findings) -> list[Panel]:
    """The metrics of quality that are drawn."""
    names = [name for name in ("quality", "lpips") if name in found.metrics] or found.main_metrics[:1]
    made = []
    for name in names:
        values = [value for value in found.trials[name] if not missing(value)]
        finite = [value for value in values if not is_identical(name, value)]
        equal = None
        if name.startswith("psnr") and len(finite) < len(values):  # no number says how far above the others they are
            equal = max(finite) + 0.2 * ((max(finite) - min(finite)) or max(finite)) if finite else draw.ALL_EQUAL
        made.append(Panel(name, title(name), f"{name}_low", f"{name}_high", equal=equal))
    return made


def overview(found: Findings) -> Figure | None:
    """A panel for each quantity, over the varied setting (lines where it is numeric), or a bar for each trial.

    With several varied settings the first is the axis and the others give the colour. ``None`` where nothing was
    measured.
    """
    shown = panels(found)
    if not shown:
        return None
    series, ticks, is_line = layout(found)
    wide = 3.9 if len(shown) < 4 else 5.2
    rows, columns = (2, 2) if len(shown) == 4 else (1, len(shown))
    mark = draw.points if is_line else draw.bars if len(found.trials) <= draw.MOST_BARS else draw.dots
    if len(series) > MOST_COLOURS:
        series, mark = {"": [point for points in series.values() for point in points]}, draw.dots
    if len(found.trials) > 12 and not is_line:  # many bars need the whole width
        wide, rows, columns = 11, len(shown), 1
    with figures.sheet(max(5.2, wide * columns), 3.5 * rows, rows, columns) as (figure, grid):
        for axes, panel in zip(grid, shown, strict=False):
            for index, points in enumerate(series.values()):
                mark(axes, panel, points, index, len(series))
            draw.gaps(axes, panel, list(_beside(series, is_line)))
            draw.axis(axes, found, panel, ticks, is_line, found.study.varied[0] if _axes_are_settings(found) else "")
        by = f"by {', '.join(found.study.varied)}" if _axes_are_settings(found) else "side by side"
        draw.title(figure, found, by)
        draw.legend(figure, found, list(series) if len(series) > 1 else [], is_line)
        figures.settle(figure)
        draw.thin_ticks(figure)
    return figure


def _beside(series: Mapping[str, list], is_line: bool) -> Iterator[tuple[float, pandas.Series]]:
    """Every trial with the place of its mark: bars of several colours stand side by side."""
    for index, points in enumerate(series.values()):
        aside = 0 if is_line else (index - (len(series) - 1) / 2) * draw.bar_width(len(series))
        yield from ((x + aside, row) for x, row in points)


def _axes_are_settings(found: Findings) -> bool:
    return "vary" in found.study.params and bool(found.study.varied)


def layout(found: Findings) -> tuple[dict[str, list[tuple[float, pandas.Series]]], Mapping[float, str], bool]:
    """Where each trial goes: points by colour as (x, row), the ticks of x, and whether x is numeric."""
    rows = [row for _, row in found.trials.iterrows()]
    if not _axes_are_settings(found):
        return {"": list(enumerate(rows))}, {i: row["label"] for i, row in enumerate(rows)}, False
    first, *others = found.study.varied
    values = {show(row[first]): row[first] for row in rows}
    numeric = len(values) > 1 and all(type(value) in (int, float) for value in values.values())
    ordered = sorted(values, key=values.get) if numeric else [v for v in _asked(found, first) if v in values]
    place = {text: float(values[text]) if numeric else index for index, text in enumerate(ordered)}
    series: dict[str, list[tuple[float, pandas.Series]]] = {}
    for row in rows:
        colour = ", ".join(f"{key}={show(row[key])}" for key in others)
        series.setdefault(colour, []).append((place[show(row[first])], row))
    if others:  # the baseline comes first in the frame; colours go in the order of the plan
        orders = {key: {text: place for place, text in enumerate(_asked(found, key))} for key in others}
        rank = {name: [orders[key][show(one[0][1][key])] for key in others] for name, one in series.items()}
        series = {name: series[name] for name in sorted(series, key=rank.get)}
    by_x = {name: sorted(points, key=lambda point: point[0]) for name, points in series.items()}
    return by_x, {x: text for text, x in place.items()}, numeric


def _asked(found: Findings, key: str) -> list[str]:
    """The values of a setting in the order in which the trials name them, the baseline's own where it is alone last."""
    rows = [*found.trials[key].iloc[1:], found.trials[key].iloc[0]]
    asked = found.study.params["vary"].get(key, [])
    return list(dict.fromkeys([*(show(value) for value in asked), *(show(value) for value in rows)]))


def tradeoff(found: Findings) -> Figure | None:
    """Quality against latency, a labelled point a trial; ``None`` where no trial has both."""
    panel = next(iter(_quality(found)), None)
    rows = found.trials[found.trials["latency_s"].notna() & found.trials[panel.column].notna()] if panel else ()
    if not len(rows):
        return None
    factor, unit = scale("latency_s", rows["latency_s"])
    across = Panel("latency_s", f"latency ({unit}) ↓", "latency_q1_s", "latency_q3_s", factor)
    with figures.sheet(8.6, 4.6) as (figure, (axes,)):
        seen = [(across.height(row), row) for _, row in rows.iterrows()]
        for is_base in (False, True):
            colour = draw.COLOURS[5] if is_base else draw.COLOURS[0]
            for hollow, xs, some in draw.by_face([pair for pair in seen if bool(pair[1]["baseline"]) == is_base]):
                looks = {"marker": "o", "ms": 7, "capsize": 2, "mew": 1.5, "elinewidth": 1, "color": colour, "ls": ""}
                bars = {"yerr": draw.errors(panel, some), "xerr": draw.errors(across, some)}
                axes.errorbar(
                    xs, [panel.height(row) for row in some], mfc="white" if hollow else colour, **bars, **looks
                )
        axes.margins(0.12)
        axes.set_xlabel(across.label)
        axes.set_ylabel(panel.label)
        draw.upright(axes, panel)
        without = len(found.trials) - len(rows)
        left_out = f" ({without} trials without a value not shown)" if without else ""
        draw.title(figure, found, f"quality against latency{left_out}")
        if (rows["status"] == "not_applied").any():
            draw.legend(figure, found, [], is_line=True, base=False)
        _name(axes, panel, seen)
    return figure


def _name(axes: Axes, panel: Panel, seen: list[tuple[float, pandas.Series]]) -> None:
    """Names at the points: the baseline's, those on the front, then, where they are few, all others."""
    spots = [(x, panel.height(row), row) for x, row in seen]
    turn = 1 if panel.from_zero else -1
    best, first, rest = math.inf, [], []
    for x, y, row in sorted(spots, key=lambda spot: (spot[0], turn * spot[1])):
        is_front, best = turn * y < best, min(best, turn * y)
        (first if is_front or row["baseline"] else rest).append((x, y, row["label"]))
    base = next((row["label"] for *_, row in spots if row["baseline"]), None)
    first.sort(key=lambda one: one[2] != base)
    most = MOST_NAMED if len(spots) <= MOST_NAMED else min(MOST_FRONT, len(first))
    named, others = (first + rest)[:most], (first + rest)[most:]
    left = placing.label(axes, named, [spot[:2] for spot in others])
    placing.unnamed(axes, left + len(others))
