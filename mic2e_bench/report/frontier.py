"""The Pareto front to look at: a picture to point at, in one piece of SVG without a script, and a figure for paper.

Pointing at a setting (or stepping to it with the Tab key) shows its values, what is different about it and its picture,
by style rules alone: so it works in a page that allows no script, and without them the front is still all there.
"""

from __future__ import annotations

import base64
import io
import math
import textwrap
from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from mic2e_bench import units
from mic2e_bench.choosing import advice, front
from mic2e_bench.choosing.candidates import Candidates
from mic2e_bench.choosing.recommend import KIND, LATENCY, MEMORY, QUALITY, Point, Recommendation, within

WIDTH, HEIGHT, LEFT, TOP, PLOT_W, PLOT_H = 1080, 476, 64, 34, 640, 372
CARD_X, CARD_W, PICTURE = LEFT + PLOT_W + 36, 330, 190
MOST_PICTURES = 150  # of the front first: each is some kilobytes of the page
BLUE, GREY, ORANGE, SOFT = "#0072b2", "#9ca3af", "#d55e00", "#4b5563"
STYLE = """
.front-plot text { font: 12px system-ui, sans-serif; fill: #111827; } .front-plot .soft { fill: #4b5563; }
.front-plot .card { visibility: hidden; pointer-events: none; } .front-plot a { cursor: pointer; outline: none; }
.front-plot a:hover .card, .front-plot a:focus .card, .front-plot .card.first { visibility: visible; }
.front-plot a:hover .dot, .front-plot a:focus .dot { stroke: #111827; stroke-width: 3; }
.front-plot .big { font-weight: 600; font-size: 13px; }
"""


def svg(made: Recommendation, among: Candidates) -> str:
    """The points over latency and quality (memory, where no quality was scored), the front as a line."""
    name = vertical(made)
    shown = [point for point in made.points if point.values[LATENCY] is not None and point.values[name] is not None]
    if not shown:
        return '<p class="note">Nothing to draw: no setting has both values.</p>'
    across = Axis([p.values[LATENCY] for p in shown], LEFT, LEFT + PLOT_W)
    up = Axis([p.values[name] for p in shown], TOP + PLOT_H, TOP)
    spots = {p.id: (across.at(p.values[LATENCY]), up.at(p.values[name])) for p in shown}
    pictured = {point.id for point in sorted(shown, key=lambda p: made.standing[p.id] != front.FRONT)[:MOST_PICTURES]}
    parts = [_frame(made, among, across, up, name), _line(made, shown, spots, name)]
    if made.best and made.best.id in spots:
        parts.append(_card(made.best, made, among, True, "first"))
    ordered = sorted(shown, key=lambda p: (made.standing[p.id] == front.FRONT, made.best is p, p.id))
    parts += [_point(point, spots[point.id], made, among, point.id in pictured) for point in ordered]
    about = f"{len(shown)} settings over latency and {name}; the Pareto front as a line. {among.stand_ins}"
    return (
        f'<svg class="front-plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(about)}" style="max-width:{WIDTH}px;width:100%;background:white">'
        f"<style>{STYLE}</style>{''.join(parts)}</svg>"
    )


def vertical(made: Recommendation) -> str:
    """The quantity over which latency is drawn."""
    return QUALITY if any(point.values[QUALITY] is not None for point in made.points) else MEMORY


class Axis:
    """From values to pixels; logarithmic where they span more than a factor of eight above zero."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        low, high = min(values), max(values)
        self.log = low > 0 and high / low >= 8
        margin = 0.06 * ((math.log(high / low) if self.log else high - low) or abs(high) or 1.0)
        self.low, self.high = self._turn(low) - margin, self._turn(high) + margin
        self.start, self.end = start, end

    def _turn(self, value: float) -> float:
        return math.log(value) if self.log else value

    def at(self, value: float) -> float:
        """The pixel of a value; of one beyond the axis its end."""
        if self.log and value <= 0:
            return self.start
        share = (self._turn(value) - self.low) / (self.high - self.low)
        return round(self.start + min(1.0, max(0.0, share)) * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """A few round values."""
        if self.log:
            tens = range(math.floor(self.low / math.log(10)), math.ceil(self.high / math.log(10)) + 1)
            found = [step * 10.0**ten for ten in tens for step in (1, 2, 5)]
            return [value for value in found if self.low <= math.log(value) <= self.high]
        size = 10 ** math.floor(math.log10((self.high - self.low) / 4))
        step = next(size * factor for factor in (1, 2, 5, 10) if (self.high - self.low) / (size * factor) <= 6)
        first = math.ceil(self.low / step)
        return [round(step * (first + index), 12) for index in range(int((self.high - first * step) / step) + 1)]


def _frame(made: Recommendation, among: Candidates, across: Axis, up: Axis, name: str) -> str:
    """Axes, ticks, and what lies beyond the limits shaded."""
    bottom, right = TOP + PLOT_H, LEFT + PLOT_W
    parts = [f'<rect x="{LEFT}" y="{TOP}" width="{PLOT_W}" height="{PLOT_H}" fill="#fff" stroke="#d1d5db"/>']
    if LATENCY in made.limits:
        x = across.at(made.limits[LATENCY])
        parts.append(_shade(x, TOP, right - x, PLOT_H))
    if name in made.limits:
        y = up.at(made.limits[name])
        parts.append(_shade(LEFT, y, PLOT_W, bottom - y) if name == QUALITY else _shade(LEFT, TOP, PLOT_W, y - TOP))
    for value in across.ticks():
        x = across.at(value)
        parts.append(f'<path d="M{x} {TOP}V{bottom}" stroke="#eef0f3"/>')
        parts.append(_text(x, bottom + 17, units.write(value, "s"), "soft", "middle"))
    for value in up.ticks():
        y = up.at(value)
        parts.append(f'<path d="M{LEFT} {y}H{right}" stroke="#eef0f3"/>')
        parts.append(_text(LEFT - 7, y + 4, units.write(value, KIND[name]), "soft", "end"))
    label = f"{among.metric}, higher is better" if name == QUALITY else advice.MEMORY_NAMES[among.memory]
    parts.append(_text(LEFT, TOP - 12, f"{label} ↑" if name == QUALITY else f"{label} ↓", "big"))
    parts.append(_text(right, bottom + 36, "latency of a call ↓", "big", "end"))
    legend = (
        "blue: on the front · hollow: a tie with it · grey: behind it · orange: recommended · shaded: beyond a limit"
    )
    parts.append(_text(LEFT, bottom + 56, legend, "soft"))
    return "".join(parts)


def _shade(x: float, y: float, width: float, height: float) -> str:
    return f'<rect x="{x}" y="{y}" width="{max(0, width):.1f}" height="{max(0, height):.1f}" fill="#f3f4f6"/>'


def _line(made: Recommendation, shown: Sequence[Point], spots: dict, name: str) -> str:
    """The front of the two quantities that are drawn, as steps; the third one may add points beside it."""
    best, corners = None, []
    for point in sorted(shown, key=lambda p: (p.values[LATENCY], p.cost(name))):
        if best is None or point.cost(name) < best:
            best = point.cost(name)
            corners.append(spots[point.id])
    path = "".join(f"{'H' + str(x) + 'V' + str(y) if index else f'M{x} {y}'}" for index, (x, y) in enumerate(corners))
    return f'<path d="{path}" fill="none" stroke="{BLUE}" stroke-width="1.5" stroke-dasharray="5 4"/>'


def _point(point: Point, spot: tuple[float, float], made: Recommendation, among: Candidates, pictured: bool) -> str:
    """A dot with its card; its title is what a reader without style rules is told."""
    place, is_best = made.standing[point.id], made.best is not None and point.id == made.best.id
    colour = ORANGE if is_best else GREY if place in (front.BEATEN, front.UNKNOWN) else BLUE
    fill = "white" if place == front.TIE else colour
    opacity = 1 if within(point, made.limits) else 0.45
    x, y = spot
    dot = f'<circle class="dot" cx="{x}" cy="{y}" r="{9 if is_best else 6}" fill="{fill}" stroke="{colour}" '
    dot += f'stroke-width="2" opacity="{opacity}"/>'
    name = _text(x + 12, y - 8, textwrap.shorten(point.label, 40), "big") if is_best else ""
    title = f"<title>{escape(f'{point.label}: {advice.values(point, among)}')}</title>"
    return f'<a tabindex="0">{title}{dot}{name}{_card(point, made, among, pictured)}</a>'


def _card(point: Point, made: Recommendation, among: Candidates, pictured: bool, more: str = "") -> str:
    """What is known of one setting, beside the plot."""
    picture = thumbnail(point) if pictured else ""
    lines = [("big", line) for line in textwrap.wrap(point.label, 46)[:2]]
    for name, value in point.values.items():
        if value is not None:
            noise = f" ± {units.write(point.noise[name], KIND[name])}" if point.noise[name] else ""
            lines.append(("", f"{advice.quantity(name, among)}: {units.write(value, KIND[name])}{noise}"))
    misses = [advice.quantity(name, among) for name in made.limits if not within(point, {name: made.limits[name]})]
    place = advice.MARKS[made.standing[point.id]] or "behind the front"
    lines.append(("soft", f"{place}; beyond the limit: {', '.join(misses)}" if misses else place))
    lines += [("soft", line) for line in textwrap.wrap(advice.settings(point, among), 52)[:5]]
    top = TOP + (PICTURE + 18 if picture else 18)
    texts = "".join(_text(CARD_X, top + 18 * index, line, kind) for index, (kind, line) in enumerate(lines))
    back = f'<rect x="{CARD_X - 12}" y="{TOP - 20}" width="{CARD_W + 12}" height="{PLOT_H + 40}" fill="#fff"/>'
    image = f'<image x="{CARD_X}" y="{TOP - 12}" height="{PICTURE}" width="{CARD_W - 60}" '
    image += f'preserveAspectRatio="xMinYMin meet" href="{picture}"/>'
    return f'<g class="card {more}">{back}{image if picture else ""}{texts}</g>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def thumbnail(point: Point) -> str:
    """The point's first picture as an address of data; empty where there is none to be read."""
    pictures = point.row.get("images") or []
    if not pictures:
        return ""
    try:
        with Image.open(Path(point.row["path"]).parent / pictures[0]["file"]) as image:
            small = image.convert("RGB")
    except (OSError, UnidentifiedImageError, SyntaxError):
        return ""
    small.thumbnail((256, PICTURE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, format="JPEG", quality=84, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
