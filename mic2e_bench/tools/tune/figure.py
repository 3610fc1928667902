"""A stored search as figures: the front at stages of it, and how many points were left in the race."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from mic2e_bench.report import draw, figures
from mic2e_bench.tools.recommend.point import LATENCY, QUALITY
from mic2e_bench.tools.tune.story import Story, Visit
from mic2e_bench.units import scale

BLUE, ORANGE = draw.COLOURS[0], draw.COLOURS[5]
COLUMNS, WIDTH, HEIGHT = 3, 9.6, 2.9  # panels of a row; inches of a row
MARGIN = 1.1  # of a logarithmic axis, to either side


def stages(story: Story) -> Figure:
    """Latency and the second quantity that people look at, at some stages: tried, in the race, on the front."""
    shown = story.stages()
    rows = -(-len(shown) // COLUMNS)
    with figures.sheet(WIDTH, HEIGHT * rows, rows, COLUMNS) as (drawn, axes):
        panels = list(axes)
        for at, panel in enumerate(panels):
            panel.set_visible(at < len(shown))
            if at < len(shown):
                _stage(panel, story, shown[at], is_first=at % COLUMNS == 0)
        panels[0].legend(frameon=False, fontsize=8)
    return drawn


def _stage(panel: Axes, story: Story, visit: Visit, is_first: bool) -> None:
    second = QUALITY if QUALITY in story.quantities else story.quantities[1]
    x, y = story.quantities.index(LATENCY), story.quantities.index(second)
    factor, unit = scale("latency_s", [costs[x] for costs in story.costs.values()])
    high, high_unit = (-1.0, "%") if second == QUALITY else (1 / 2**20, "MiB")
    values = {number: (costs[x] * factor, costs[y] * high) for number, costs in story.costs.items()}
    groups = (
        ("tried", story.seen(visit) - set(visit.alive), {"c": draw.GREY, "s": 8, "alpha": 0.6}),
        ("may be on the front", set(visit.alive) - set(visit.front), {"c": BLUE, "s": 12}),
        ("front", set(visit.front), {"c": ORANGE, "s": 22}),
    )
    for name, numbers, style in groups:
        drawn = np.array([values[number] for number in sorted(numbers)]).reshape(-1, 2)
        panel.scatter(*drawn.T, label=name, linewidths=0, **style)
    panel.set_title(f"after {visit.spent_s:.0f} s: {visit.tried} tried, front {len(visit.front)}", fontsize=9)
    panel.set_xscale("log")
    xs, ys = np.array(list(values.values())).T  # the same axes in every panel
    panel.set_xlim(xs.min() / MARGIN, xs.max() * MARGIN)
    panel.set_ylim(ys.min() - 0.05 * np.ptp(ys), ys.max() + 0.05 * np.ptp(ys))
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.set_xlabel(f"latency ({unit}) ↓")
    if is_first:
        panel.set_ylabel(f"{second} ({high_unit}) {'↑' if second == QUALITY else '↓'}")


def counts(story: Story) -> Figure:
    """Points tried, in the race and on the front, over the seconds of the search."""
    seconds = [visit.spent_s for visit in story.visits]
    lines = (
        ("tried", [visit.tried for visit in story.visits], draw.GREY),
        ("may be on the front", [len(visit.alive) for visit in story.visits], BLUE),
        ("front", [len(visit.front) for visit in story.visits], ORANGE),
    )
    with figures.sheet(WIDTH, HEIGHT) as (drawn, axes):
        panel = next(axes)
        for name, values, colour in lines:
            panel.step(seconds, values, where="post", color=colour, label=name)
        for visit in story.visits:
            if visit.protocol > 1:
                panel.axvline(visit.spent_s, **draw.DASHED)
        panel.set_xlabel("seconds of the search (dashed: fuller looks)")
        panel.set_ylabel("points")
        panel.legend(frameon=False, fontsize=8)
    return drawn
