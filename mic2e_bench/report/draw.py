"""The marks of the figures: points, bars, gaps, axes and labels, in colours that colour-blind people tell apart."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from mic2e_bench.report.findings import Findings
from mic2e_bench.units import missing

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F", "#000000")  # Okabe and Ito
MARKERS = "osD^vPX*"
GREY, RED = "#6b7280", "#b3261e"


@dataclass(frozen=True)
class Panel:
    """One quantity: the column, its error bars' columns, and how its axis is named and scaled."""

    column: str
    label: str
    low: str = ""
    high: str = ""
    factor: float = 1.0


def errors(panel: Panel, row: pandas.Series) -> list[list[float]] | None:
    low, high = (row.get(name) if name else None for name in (panel.low, panel.high))
    if missing(low) or missing(high) or low == high:
        return None
    value = row[panel.column]
    return [[max(0.0, value - low) * panel.factor], [max(0.0, high - value) * panel.factor]]


def points(axes: Axes, panel: Panel, placed: list, index: int, count: int) -> None:
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    seen = list(_with_value(axes, panel, placed))
    axes.plot([x for x, _ in seen], [row[panel.column] * panel.factor for _, row in seen], color=colour, lw=1.5)
    for x, row in seen:
        hollow = row["status"] != "ok"
        axes.errorbar(
            x, row[panel.column] * panel.factor, errors(panel, row), color=colour, marker=marker, ms=6, capsize=3,
            mfc="white" if hollow else colour, mew=1.5, zorder=3,
        )  # fmt: skip


def bars(axes: Axes, panel: Panel, placed: list, index: int, count: int) -> None:
    colour, width = COLOURS[index % len(COLOURS)], 0.72 / count
    beside = (index - (count - 1) / 2) * width
    for x, row in _with_value(axes, panel, [(x + beside, row) for x, row in placed]):
        hollow = row["status"] != "ok"
        axes.bar(
            x, row[panel.column] * panel.factor, width * 0.9, yerr=errors(panel, row), edgecolor=colour, linewidth=1.2,
            color="white" if hollow else colour, hatch="////" if hollow else None,
            error_kw={"capsize": 3, "ecolor": "#374151"},
        )  # fmt: skip


def _with_value(axes: Axes, panel: Panel, placed: list) -> Iterator[tuple[float, pandas.Series]]:
    """The trials that have a value; of the others a cross is drawn at the foot of the axis, and why."""
    foot = axes.get_xaxis_transform()
    for x, row in placed:
        if not missing(row[panel.column]):
            yield x, row
            continue
        why, colour = ("reference" if row["baseline"] else "no value"), GREY
        if row["status"] not in ("ok", "not_applied"):
            why, colour = row["status"].replace("_", " "), RED
            axes.plot(x, 0.03, "x", color=RED, ms=7, mew=2, transform=foot, clip_on=False)
        place = {"xycoords": foot, "textcoords": "offset points", "rotation": 90, "ha": "center", "va": "bottom"}
        axes.annotate(why, (x, 0.03), (0, 8), color=colour, fontsize=8, **place)


def axis(axes: Axes, found: Findings, panel: Panel, ticks: Mapping[float, str], is_line: bool, setting: str) -> None:
    """Ticks where the trials are, the baseline as a dashed line, and ``setting`` (if any) as the name of the axis."""
    axes.set_title(panel.label, loc="left", fontsize=10)
    axes.grid(axis="x", visible=is_line)
    if is_line and min(ticks) > 0 and max(ticks) / min(ticks) >= 8:
        axes.set_xscale("log", base=2)
        axes.minorticks_off()
    long = not is_line and (max(map(len, ticks.values())) * len(ticks) > 40)
    turned = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if long else {}
    axes.set_xticks(list(ticks), [_short(text) for text in ticks.values()], **turned)
    if not is_line:
        axes.set_xlim(min(ticks) - 0.6, max(ticks) + 0.6)
        axes.set_ylim(bottom=0)
    axes.set_xlabel(setting + UNITS.get(setting, ""))
    base = found.baseline[panel.column]
    if not missing(base):
        axes.axhline(base * panel.factor, color=GREY, lw=1, ls=(0, (4, 3)), zorder=1)


UNITS = {"resolution": " (pixels)", "steps": " (denoising steps)", "guidance": " (guidance scale)"}


def _short(text: str, most: int = 28) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def title(figure: Figure, found: Findings, what: str) -> None:
    name = f"{found.study.pipeline.name} {what}"
    figure.suptitle(f"{name}\n{found.credit.partition(': ')[2]}", x=0.01, ha="left", fontsize=10, color="#111827")


def legend(figure: Figure, found: Findings, names: list[str], is_line: bool, base: bool = True) -> None:
    """What colours, hollow points, crosses and the dashed line mean; only what is there."""
    marker = {"ls": "", "ms": 6}
    looks = zip(names, itertools.cycle(COLOURS), itertools.cycle(MARKERS if is_line else "s"), strict=False)
    made = [Line2D([], [], color=colour, marker=shape, label=name, **marker) for name, colour, shape in looks]
    if base:
        made.append(Line2D([], [], color=GREY, lw=1, ls=(0, (4, 3)), label="baseline"))
    statuses = set(found.trials["status"])
    if "not_applied" in statuses:
        shape = {"marker": "o" if is_line else "s", "mfc": "white"}
        made.append(Line2D([], [], color=GREY, label="ran, but not as asked (hollow)", **shape, **marker))
    if statuses - {"ok", "not_applied"}:
        made.append(Line2D([], [], color=RED, marker="x", mew=2, label="no measurement", **marker))
    figure.legend(handles=made, loc="outside lower left", ncols=min(6, len(made)), frameon=False, fontsize=8)


def label(axes: Axes, points: list[tuple[float, float, str]]) -> None:
    """Names beside their points: the first place around each that hides no other point or name and is not cut off."""
    axes.autoscale_view()
    width, height = axes.figure.get_size_inches() * 72 * (0.85, 0.75)  # the axes in typographic points, nearly
    shares = (axes.transScale + axes.transLimits).transform([(x, y) for x, y, _ in points])
    spots = [tuple(spot) for spot in shares * (width, height)]
    taken = [Bbox.from_bounds(across - 5, up - 5, 10, 10) for across, up in spots]
    for (x, y, text), (across, up) in sorted(zip(points, spots, strict=True), key=lambda pair: pair[1]):
        wide = 4.6 * len(_short(text, 44))
        places = [(dx, dy) for dy in (9, -9, 0, 22, -22, 33, 44, 55) for dx in (9, -9 - wide)]
        boxes = [Bbox.from_bounds(across + dx, up + dy - 5, wide, 10) for dx, dy in places]
        inside = [box for box in boxes if box.x0 > 0 and box.y0 > 0 and box.x1 < width and box.y1 < height]
        chosen = next((box for box in inside if not box.count_overlaps(taken)), boxes[0])
        taken.append(chosen)
        offset = (chosen.x0 - across, chosen.y0 + 5 - up)
        line = {"arrowstyle": "-", "color": "#9ca3af", "lw": 0.6} if abs(offset[1]) > 12 else None
        style = {"textcoords": "offset points", "va": "center", "fontsize": 8, "arrowprops": line}
        axes.annotate(_short(text, 44), (x, y), offset, **style)
