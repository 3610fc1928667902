"""The Pareto front: one figure, to print and, as SVG with a card for each setting, to point at without a script.

Pointing at a setting (or stepping to it with the Tab key) shows its values, what is different about it and its picture,
by style rules alone: so it works in a page that allows no script, and without them the front is still all there.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator
from PIL import Image

from mic2e_bench import units
from mic2e_bench.report import draw, figures, markup, pixels, placing
from mic2e_bench.tools.recommend import pareto, paste
from mic2e_bench.tools.recommend import text as recommend_text
from mic2e_bench.tools.recommend.candidates import Candidates
from mic2e_bench.tools.recommend.point import KIND, LATENCY, MEMORY, QUALITY, Point
from mic2e_bench.tools.recommend.recommend import Recommendation
from mic2e_bench.units import scale

WIDTH, BESIDE_CARD, HEIGHT = 9.6, 7.4, 4.8  # the figure in inches, to print and to point at
PICTURE = 190  # its height in pixels
MOST_PICTURES = 150  # of the front first: each is some kilobytes of the page
MOST_NAMES = 12
BLUE, ORANGE = draw.COLOURS[0], draw.COLOURS[5]
LOOKS = {pareto.FRONT: (BLUE, BLUE), pareto.TIE: (BLUE, "white")}  # the edge and the face of a point
NOTHING = "Nothing to draw: no setting has both values."


def vertical(made: Recommendation) -> str:
    """The quantity over which latency is drawn: quality, and memory where none was scored."""
    return QUALITY if any(point.values[QUALITY] is not None for point in made.points) else MEMORY


def _shown(made: Recommendation) -> list[Point]:
    """The points that have both values, those of the front last, so that they lie on top."""
    names = (LATENCY, vertical(made))
    able = [point for point in made.points if all(point.values[name] is not None for name in names)]
    return sorted(able, key=lambda p: (made.standing[p.id] == pareto.FRONT, made.best is p, p.id))


def figure(made: Recommendation, among: Candidates, width: float = WIDTH) -> Figure | None:
    """The points over latency, the front of what is drawn as steps, what is beyond a limit shaded.

    The marker of each point has the point's id as its gid. ``None`` without a point.
    """
    name, shown = vertical(made), _shown(made)
    if not shown:
        return None
    over, over_unit = scale("latency_s", [point.values[LATENCY] for point in shown])
    up, up_unit = (1.0, "%") if name == QUALITY else scale("peak_bytes", [point.values[name] for point in shown])
    spots = {point.id: (point.values[LATENCY] * over, point.values[name] * up) for point in shown}
    with figures.sheet(width, HEIGHT) as (drawn, (axes,)):
        for point in shown:
            is_best = point is made.best
            edge, face = (ORANGE, ORANGE) if is_best else LOOKS.get(made.standing[point.id], (draw.GREY, draw.GREY))
            looks = {"ms": 10 if is_best else 7, "mew": 1.5, "alpha": 0.4 if point.beyond(made.limits) else 1}
            axes.plot(*spots[point.id], "o", color=edge, mfc=face, gid=point.id, **looks)
        corners = [spots[point.id] for point in _corners(shown, name)]
        axes.plot(*zip(*corners, strict=True), drawstyle="steps-post", color=BLUE, lw=1, zorder=1.5)
        noise = [(point.noise[name] if math.isfinite(point.noise[name]) else 0.0) * up for point in shown]
        axes.margins(0.12)
        _stretch(axes, *zip(*spots.values(), strict=True))
        _upright(axes, name, [y for _, y in spots.values()], max(noise))
        _limits(axes, made, name, over, up)
        is_front = {p.id: made.standing[p.id] == pareto.FRONT for p in shown}
        named = [p for p in shown if p is made.best or p.presets or is_front[p.id]]
        named.sort(key=lambda p: (p is not made.best, not p.presets))
        axes.set_xlabel(f"latency of a call ({over_unit}) ↓")
        what = among.metric if name == QUALITY else recommend_text.quantity(name, among)
        axes.set_ylabel(f"{what} ({up_unit}) {'↑' if name == QUALITY else '↓'}")
        title = f"{among.rows[0]['pipeline']}: the Pareto front and the best under the limits"
        draw.heading(drawn, title, among.stand_ins)
        _legend(drawn, bool(made.limits), list(dict.fromkeys(name for p in shown for name in p.presets)))
        texts = [(*spots[point.id], point.label) for point in named[:MOST_NAMES]]
        taken = {one[:2] for one in texts}
        left = placing.label(axes, texts, [spot for spot in spots.values() if spot not in taken])
        placing.unnamed(axes, left + len(shown) - len(texts))
    return drawn


def _upright(axes: Axes, name: str, heights: Sequence[float], noise: float) -> None:
    """Memory from zero; and of quality no less than the noise to each side, so that noise draws no mountain."""
    if axes.get_yscale() == "log":
        return
    if name == MEMORY:
        axes.set_ylim(0, 1.12 * (max(heights) + noise) or 1)
    elif max(heights) - min(heights) < noise:
        top = min((max(heights) + min(heights)) / 2 + 1.5 * noise, max(heights) + 0.5 * noise)  # not far above 100 %
        axes.set_ylim(top - 3 * noise, top)


def _corners(shown: list[Point], name: str) -> list[Point]:
    """The front of the two quantities that are drawn; the third one may add points beside it."""
    corners: list[Point] = []
    for point in sorted(shown, key=lambda p: (p.values[LATENCY], p.cost(name))):
        if not corners or point.cost(name) < corners[-1].cost(name):
            corners.append(point)
    return corners


def _stretch(axes: Axes, across: tuple[float, ...], up: tuple[float, ...]) -> None:
    """Logarithmic axes where values span more than a factor of eight above zero; then the view is fixed."""
    for values, set_scale, axis in ((across, axes.set_xscale, axes.xaxis), (up, axes.set_yscale, axes.yaxis)):
        if min(values) > 0 and max(values) / min(values) >= 8:
            set_scale("log")
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
    axes.autoscale_view()
    axes.autoscale(False)  # a limit far away leaves the points their room


def _limits(axes: Axes, made: Recommendation, name: str, over: float, up: float) -> None:
    """A dashed line at each limit, and what is beyond it shaded."""
    line, shade = (
        {"color": draw.RED, "lw": 1, "ls": (0, (4, 3))},
        {"color": draw.GREY, "alpha": 0.12, "lw": 0, "zorder": 0},
    )
    if LATENCY in made.limits:
        x = made.limits[LATENCY] * over
        axes.axvline(x, **line)
        axes.axvspan(x, max(x, axes.get_xlim()[1]), **shade)
    if name in made.limits:
        y, (low, high) = made.limits[name] * up, axes.get_ylim()
        axes.axhline(y, **line)
        axes.axhspan(y, min(y, low) if name == QUALITY else max(y, high), **shade)


def _legend(drawn: Figure, limited: bool, presets: Sequence[str]) -> None:
    looks = {"on the front": (BLUE, BLUE), "a tie with it": (BLUE, "white"), "behind it": (draw.GREY, draw.GREY)}
    looks |= {"recommended": (ORANGE, ORANGE)}
    made = [Line2D([], [], ls="", marker="o", color=e, mfc=f, ms=6, label=name) for name, (e, f) in looks.items()]
    if limited:
        made.append(Line2D([], [], color=draw.RED, lw=1, ls=(0, (4, 3)), label="a limit; pale: beyond it"))
    if presets:  # a name can only be told from a label where somebody says what it is
        words = f"presets of params/presets.yaml: {', '.join(presets)}"
        made.append(Line2D([], [], ls="", label=words))
    draw.below(drawn, made)


def html(made: Recommendation, among: Candidates) -> Markup:
    """The figure as SVG with a card a point, shown while the point is pointed at; the best one's at first."""
    drawn = figure(made, among, BESIDE_CARD)
    if drawn is None:
        return figures.html(None, "", NOTHING)
    shown, svg = _shown(made), figures.svg(drawn, sized=True)
    lines = drawn.axes[0].lines
    spots = {line.get_gid(): _spot(drawn, line) for line in lines if line.get_gid()}  # where saving has put them
    pictured = {point.id for point in [*reversed(shown)][:MOST_PICTURES]}
    cards = [_card(point, made, among, spots[point.id], point.id in pictured) for point in shown]
    about = f"{len(shown)} settings over latency and {vertical(made)}; the Pareto front as a line. {among.stand_ins}"
    size = {
        "width": round(BESIDE_CARD * figures.PX),
        "height": round(drawn.get_figheight() * figures.PX),
        "picture_height": PICTURE,
    }
    return markup.render("front.html", drawing=svg, cards=cards, about=about, **size)


def _spot(drawn: Figure, line: Line2D) -> tuple[float, float]:
    """The place of a marker in pixels of the page, from the left and from the top."""
    x, y = drawn.axes[0].transData.transform(line.get_xydata()[0]) / drawn.dpi * figures.PX
    return round(float(x), 1), round(drawn.get_figheight() * figures.PX - float(y), 1)


def _card(point: Point, made: Recommendation, among: Candidates, spot: Any, pictured: bool) -> dict[str, Any]:
    """What is known of one setting, to stand beside the figure: lines of (class, text), and a picture if wanted."""
    lines = [("big", line) for line in textwrap.wrap(point.label, 46)[:2]]
    for name, value in point.values.items():
        if value is not None:
            spread = point.noise[name]
            noise = f" ± {units.write(spread, KIND[name])}" if spread and math.isfinite(spread) else ""
            lines.append(("", f"{recommend_text.quantity(name, among)}: {point.written(name)}{noise}"))
    misses = [recommend_text.quantity(name, among) for name in point.beyond(made.limits)]
    place = recommend_text.MARKS[made.standing[point.id]] or "behind the front"
    lines.append(("soft", f"{place}; beyond the limit: {', '.join(misses)}" if misses else place))
    lines += [("soft", line) for line in textwrap.wrap(paste.differing(point, among), 52)[:5]]
    return {
        "title": f"{point.label}: {recommend_text.values(point, among)}",
        "spot": spot,
        "lines": lines,
        "picture": thumbnail(point) if pictured else "",
        "is_best": point is made.best,
    }


def thumbnail(point: Point) -> str:
    """The point's first picture as an address of data; empty where there is none to be read."""
    pictures = point.row.get("images") or []
    try:
        with Image.open(Path(point.row["path"]).parent / pictures[0]["file"]) as image:
            return pixels.address(image, (256, PICTURE), 84)
    except (IndexError, OSError, SyntaxError):
        return ""
