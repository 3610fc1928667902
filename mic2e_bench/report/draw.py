"""The marks of the figures: points, bars, gaps, axes and legends, in colours that colour-blind people tell apart.

They are seen on white and on black: a text is drawn in ink, which is the colour of the page's text.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mic2e_bench.report import figures, metric_names
from mic2e_bench.report.findings import Findings
from mic2e_bench.units import missing

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F", figures.INK)  # Okabe and Ito
MARKERS = "osD^vPX*"
GREY, RED = "#7b828e", "#d64545"
DASHED = {"color": GREY, "lw": 1, "ls": (0, (4, 3))}
GAP = 4  # points between the names of neighbouring ticks
ALL_EQUAL = 1.0  # the height of identical pictures where there are no others
MOST_TICKS = 40  # names of trials along an axis; of more every second, third ... has one
MOST_BARS = 120  # trials side by side that are bars; more are points


@dataclass(frozen=True)
class Panel:
    """One quantity: the column, its error bars' columns, and how its axis is named and scaled.

    ``noise`` is by how much a value may be off to either side, by the trial's id, where no columns say so. ``equal`` is
    the height (as drawn) at which identical pictures stand, of a metric that has no finite value for them.
    """

    column: str
    label: str
    low: str = ""
    high: str = ""
    factor: float = 1.0
    noise: Mapping[str, float] = field(default_factory=dict)
    equal: float | None = None

    @property
    def from_zero(self) -> bool:
        """Whether nothing is the best that there can be: such an axis starts there."""
        return metric_names.is_lower_better(self.column)

    def height(self, row: pandas.Series) -> float:
        """Where a trial's value is drawn."""
        value = row[self.column]
        if metric_names.is_identical(self.column, value):  # what floats leave of zero is zero
            return self.equal if self.equal is not None else 0.0 if self.from_zero else 1.0
        return value * self.factor


def errors(panel: Panel, rows: Sequence[pandas.Series]) -> np.ndarray:
    """The lengths of the error bars of some trials, (2, n): below and above; NaN where none is known."""
    return np.array([_errors(panel, row) for row in rows], dtype=float).reshape(-1, 2).T


def _errors(panel: Panel, row: pandas.Series) -> tuple[float, float]:
    if noise := panel.noise.get(row["id"]):
        return noise * panel.factor, noise * panel.factor
    low, high = (row.get(name) if name else None for name in (panel.low, panel.high))
    if missing(low) or missing(high) or low == high or metric_names.is_identical(panel.column, row[panel.column]):
        return np.nan, np.nan
    value = row[panel.column]
    return max(0.0, value - low) * panel.factor, max(0.0, high - value) * panel.factor


def points(axes: Axes, panel: Panel, placed: list, index: int, count: int) -> None:
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    seen = [(x, row) for x, row in placed if not missing(row[panel.column])]
    axes.plot([x for x, _ in seen], [panel.height(row) for _, row in seen], color=colour, lw=1.5)
    _marks(axes, panel, seen, {"color": colour, "marker": marker, "ms": 6, "capsize": 3, "elinewidth": 1.5})


def dots(axes: Axes, panel: Panel, placed: list, index: int, count: int) -> None:
    """Points without a line: what bars are where they are too many to be seen."""
    seen = [(x, row) for x, row in placed if not missing(row[panel.column])]
    colour = COLOURS[index % len(COLOURS)]
    _marks(axes, panel, seen, {"color": colour, "marker": "o", "ms": 3, "capsize": 0, "elinewidth": 0.5})


def _marks(axes: Axes, panel: Panel, seen: list, looks: Mapping) -> None:
    """One artist for all that ran as asked, one for the others."""
    for hollow, xs, rows in by_face(seen):
        heights, face = list(map(panel.height, rows)), "white" if hollow else looks["color"]
        axes.errorbar(xs, heights, errors(panel, rows), mfc=face, mew=looks["ms"] / 4, ls="", zorder=3, **looks)


def bars(axes: Axes, panel: Panel, placed: list, index: int, count: int) -> None:
    colour, width = COLOURS[index % len(COLOURS)], bar_width(count)
    beside = (index - (count - 1) / 2) * width
    for hollow, xs, rows in by_face([(x + beside, row) for x, row in placed if not missing(row[panel.column])]):
        axes.bar(
            xs, list(map(panel.height, rows)), width * 0.9, yerr=errors(panel, rows), edgecolor=colour, linewidth=1.2,
            color="white" if hollow else colour, hatch="////" if hollow else None,
            error_kw={"capsize": min(3, 120 * width / count), "ecolor": figures.INK, "elinewidth": 1},
        )  # fmt: skip


def bar_width(count: int) -> float:
    """The room of each of so many bars at one tick, of which a tick has 1."""
    return 0.72 / count


def by_face(seen: list) -> Iterator[tuple[bool, list[float], list[pandas.Series]]]:
    """The places and rows of the trials that ran as asked, and those of the others, which are hollow."""
    for hollow in (False, True):
        mine = [(x, row) for x, row in seen if (row["status"] != "ok") == hollow]
        if mine:
            yield hollow, [x for x, _ in mine], [row for _, row in mine]


def gaps(axes: Axes, panel: Panel, placed: list) -> None:
    """Of the trials without a value a cross at the foot of the axis, and why; one for all at the same place."""
    foot, reasons = axes.get_xaxis_transform(), {}
    for x, row in placed:
        if not missing(row[panel.column]):
            continue
        failed = row["status"] not in ("ok", "not_applied")
        why = row["status"].replace("_", " ") if failed else "reference" if row["baseline"] else "no value"
        reasons.setdefault(x, {}).setdefault(why, failed)
    failed = [x for x, words in reasons.items() if any(words.values())]
    if failed:
        axes.plot(failed, [0.03] * len(failed), "x", color=RED, ms=7, mew=2, transform=foot, clip_on=False)
    for x, words in reasons.items() if len(reasons) <= MOST_TICKS else ():
        place = {"xycoords": foot, "textcoords": "offset points", "rotation": 90, "ha": "center", "va": "bottom"}
        axes.annotate(", ".join(words), (x, 0.03), (0, 8), fontsize=8, **place)


def axis(axes: Axes, found: Findings, panel: Panel, ticks: Mapping[float, str], is_line: bool, setting: str) -> None:
    """Ticks where the trials are, the baseline as a dashed line, and ``setting`` (if any) as the name of the axis."""
    axes.set_title(panel.label, loc="left", fontsize=10)
    axes.grid(axis="x", visible=is_line)
    if is_line and min(ticks) > 0 and max(ticks) / min(ticks) >= 8:
        axes.set_xscale("log", base=2)
        axes.minorticks_off()
    some = list(ticks.items())[:: -(-len(ticks) // MOST_TICKS)]
    names = {x: short(text) for x, text in some}
    wide = max(figures.text_width(text, 9) for text in names.values())
    turned = {}
    if not is_line and (wide + GAP) * len(names) > 0.85 * _width(axes):
        turned = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
        if len(names) * 22 > 0.85 * _width(axes):
            turned |= {"rotation": 90, "va": "center"}
    axes.set_xticks(list(names), list(names.values()), **turned)
    if not is_line:
        axes.set_xlim(min(ticks) - 0.6, max(ticks) + 0.6)
    axes.set_xlabel(setting + UNITS.get(setting, ""))
    base = found.baseline[panel.column]
    if not missing(base):
        axes.axhline(panel.height(found.baseline), zorder=1, **DASHED)
    upright(axes, panel, from_zero=not is_line)


def upright(axes: Axes, panel: Panel, from_zero: bool = False) -> None:
    """The axis upwards: from zero where that is the best, and with its noise; at its top the place of the identical."""
    if from_zero or panel.from_zero:
        axes.set_ylim(0, 1.08 * axes.dataLim.ymax or 1)
    if panel.equal is None:
        return
    low, high = axes.get_ylim()
    below = [tick for tick in axes.get_yticks() if low <= tick < panel.equal - 0.07 * (high - low)]
    below = below if panel.equal != ALL_EQUAL else []
    axes.set_yticks([*below, panel.equal], [*(f"{tick:g}" for tick in below), metric_names.IDENTICAL])
    axes.set_ylim(low, max(high, panel.equal + 0.05 * (high - low)))


def _width(axes: Axes) -> float:
    """How wide the axes are before they are laid out, nearly, in points."""
    return axes.figure.get_figwidth() * figures.POINTS / axes.get_subplotspec().get_gridspec().ncols


def thin_ticks(figure: Figure) -> None:
    """Leave out the names of ticks that would touch the one before; called when the figure is laid out."""
    for axes in figure.axes:
        last = -np.inf
        for tick in axes.xaxis.get_major_ticks():
            text = tick.label1
            across = axes.transData.transform((tick.get_loc(), 0))[0]
            half = figures.text_width(text.get_text(), 9) / 2 + GAP / 2
            half = min(half, 6 / np.sin(np.radians(text.get_rotation()))) if text.get_rotation() else half
            if across - half < last:
                text.set_visible(False)
            else:
                last = across + half


UNITS = {"resolution": " (pixels)", "steps": " (denoising steps)", "guidance": " (guidance scale)"}


def short(text: str, most: int = 28) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def title(figure: Figure, found: Findings, what: str) -> None:
    heading(figure, f"{found.study.pipeline.name} {what}", found.credit.partition(": ")[2])


def heading(figure: Figure, name: str, credit: str) -> None:
    """The title over a figure and, below it, what stood in for what; no line is wider than the figure."""
    most = int(figure.get_figwidth() * figures.POINTS / 6)
    lines = [line for text in (name, credit) for line in textwrap.wrap(text, most)]
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=10)


def legend(figure: Figure, found: Findings, names: list[str], is_line: bool, base: bool = True) -> None:
    """What colours, hollow points, crosses and the dashed line mean; only what is there."""
    marker = {"ls": "", "ms": 6}
    looks = zip(names, itertools.cycle(COLOURS), itertools.cycle(MARKERS if is_line else "s"), strict=False)
    made = [Line2D([], [], color=colour, marker=shape, label=name, **marker) for name, colour, shape in looks]
    if base:
        made.append(Line2D([], [], label="baseline", **DASHED))
    statuses = set(found.trials["status"])
    if "not_applied" in statuses:
        shape = {"marker": "o" if is_line else "s", "mfc": "white"}
        made.append(Line2D([], [], color=GREY, label="ran, but not as asked (hollow)", **shape, **marker))
    if statuses - {"ok", "not_applied"}:
        made.append(Line2D([], [], color=RED, marker="x", mew=2, label="no measurement", **marker))
    below(figure, made)


def below(figure: Figure, handles: Sequence[Line2D]) -> None:
    """A legend under a figure, in as many columns as fit; the figure grows by its lines."""
    for one in handles:
        one.set_label(short(one.get_label(), 70))
    wide = max((figures.text_width(one.get_label(), 8) for one in handles), default=0) + 40
    columns = max(1, min(len(handles), int(figure.get_figwidth() * figures.POINTS / wide)))
    more = -(-len(handles) // columns) - 1
    figure.set_figheight(figure.get_figheight() + 0.18 * more)
    figure.legend(handles=handles, loc="outside lower left", ncols=columns, frameon=False, fontsize=8)
