"""What ``notebooks/choose.ipynb`` calls: a recommendation to read, to point at and to print."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from IPython.display import HTML
from matplotlib.figure import Figure

from mic2e_bench import places
from mic2e_bench.choosing import advice, front
from mic2e_bench.choosing.ask import ask
from mic2e_bench.choosing.candidates import Candidates
from mic2e_bench.choosing.recommend import KIND, LATENCY, QUALITY, Recommendation, within
from mic2e_bench.report import draw, frontier, plots
from mic2e_bench.units import scale


@dataclass(frozen=True)
class Choice:
    """A recommendation among records, ready to be displayed."""

    made: Recommendation
    among: Candidates

    def answer(self) -> HTML:
        """The recommendation in words: the best, what comes next, what each limit costs."""
        text = advice.text(self.made, self.among, with_table=False)
        style = "white-space:pre-wrap;font:13px/1.5 ui-monospace,Menlo,Consolas,monospace;max-width:1080px"
        return HTML(f'<pre style="{style}">{escape(text)}</pre>')

    def front(self) -> HTML:
        """The settings over latency and quality: point at one to see its values, its settings and its picture."""
        return HTML(f'<figure class="plot">{frontier.svg(self.made, self.among)}</figure>')

    def figure(self) -> HTML:
        """The same as a figure that needs no pointing at, with names."""
        made = figure(self.made, self.among)
        if made is None:
            return HTML('<p class="note">Nothing to draw: no setting has both values.</p>')
        data = base64.b64encode(plots.png(made)).decode()
        style = f"width:{round(made.get_figwidth() * 96)}px;max-width:100%;height:auto;background:white"
        alt = escape(f"the Pareto front over latency; {self.among.stand_ins}")
        return HTML(
            f'<figure class="plot"><img style="{style}" alt="{alt}" src="data:image/png;base64,{data}"></figure>'
        )

    def table(self) -> HTML:
        """Every measured setting with its place."""
        return HTML(advice.table(self.made, self.among).html())


def choice(studies: str | Sequence[str], results: str | None = None, **asked: Any) -> Choice:
    """The choice among studies (names or params files) under limits written as on the command line.

    ``asked`` are ``ask``'s ``max_latency``, ``max_vram``, ``max_memory``, ``min_quality``, ``prefer``, ``metric``.
    Raises ``BadInput``.
    """
    names = [studies] if isinstance(studies, str) else list(studies)
    return Choice(*ask(names, Path(results) if results else places.results(), **asked))


def figure(made: Recommendation, among: Candidates) -> Figure | None:
    """Points over latency and quality (memory, where no quality was scored); ``None`` where there are none."""
    name = frontier.vertical(made)
    shown = [point for point in made.points if point.values[LATENCY] is not None and point.values[name] is not None]
    if not shown:
        return None
    over, over_unit = scale("latency_s", [point.values[LATENCY] for point in shown])
    column = "quality" if name == QUALITY else "peak_bytes"
    up, up_unit = (1.0, "%") if KIND[name] == "%" else scale(column, [point.values[name] for point in shown])
    with matplotlib.rc_context(draw.STYLE):
        drawn = Figure(figsize=(9.6, 4.8), layout="constrained")
        axes = drawn.subplots()
        named = []
        for point in shown:
            place = made.standing[point.id]
            is_best = made.best is not None and point.id == made.best.id
            colour = draw.COLOURS[5] if is_best else draw.COLOURS[0] if place in (front.FRONT, front.TIE) else draw.GREY
            x, y = point.values[LATENCY] * over, point.values[name] * up
            face = "white" if place == front.TIE else colour
            alpha = 1 if within(point, made.limits) else 0.4
            axes.plot(x, y, "o", ms=10 if is_best else 7, color=colour, mfc=face, mew=1.5, alpha=alpha)
            if place == front.FRONT or is_best:
                named.append((x, y, point.label))
        for quantity, line in ((LATENCY, axes.axvline), (name, axes.axhline)):
            if quantity in made.limits:
                line(
                    made.limits[quantity] * (over if quantity == LATENCY else up), color=draw.RED, lw=1, ls=(0, (4, 3))
                )
        axes.margins(0.12)
        draw.label(axes, named[:12])
        axes.set_xlabel(f"latency ({over_unit}) ↓")
        axes.set_ylabel(f"{advice.quantity(name, among)} ({up_unit}) {'↑' if name == QUALITY else '↓'}")
        pipeline = among.rows[0]["pipeline"]
        title = f"{pipeline}: the Pareto front (blue; hollow: a tie with it), the best under the limits (orange)"
        drawn.suptitle(f"{title}\n{among.stand_ins}", x=0.01, ha="left", fontsize=10, color="#111827")
    return drawn
