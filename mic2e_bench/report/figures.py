"""A figure in the house style: an empty one to draw on, and a drawn one as bytes and in a page."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from mic2e_bench import texts
from mic2e_bench.report import markup

PX = 96  # pixels of a page in an inch
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e5e7eb",
    "axes.edgecolor": "#9ca3af",
    "hatch.linewidth": 0.6,
    "text.parse_math": False,  # a label may hold dollar signs
    "svg.fonttype": "none",  # texts stay texts
    "svg.hashsalt": "mic2e-bench",  # the same figure, the same bytes
}


@contextmanager
def sheet(width: float, height: float, rows: int = 1, columns: int = 1) -> Iterator[tuple[Figure, Iterator[Axes]]]:
    """An empty figure (in inches) and its axes row by row; the style holds for what is drawn inside."""
    with matplotlib.rc_context(STYLE):
        made = Figure(figsize=(width, height), layout="constrained")
        yield made, made.subplots(rows, columns, squeeze=False).flat


def png(figure: Figure) -> bytes:
    """The figure's pixels, twice as fine as a page shows them."""
    return _saved(figure, format="png", dpi=160)


def svg(figure: Figure) -> Markup:
    """The figure as an element of HTML: no header, and nothing of when and by what it was made."""
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    text = _saved(figure, format="svg", metadata=nothing).decode()
    text = text[text.index("<svg ") :].replace("<svg ", '<svg class="drawn" ', 1)
    return Markup(text.replace("*{", ".drawn *{", 1))  # its style is not the page's


def _saved(figure: Figure, **how: object) -> bytes:
    stream = io.BytesIO()
    for text in figure.findobj(Text):  # what no SVG may hold
        text.set_text(texts.plain(text.get_text()))
    with warnings.catch_warnings():
        # a label in a script that the font lacks is drawn as boxes, which is no reason to complain
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        with matplotlib.rc_context(STYLE):
            figure.savefig(stream, **how)
    return stream.getvalue()


def html(figure: Figure | None, alt: str, otherwise: str) -> Markup:
    """The figure in a page; ``otherwise`` says why there is none."""
    picture = markup.data_uri(png(figure), "png") if figure else ""
    width = round(figure.get_figwidth() * PX) if figure else 0
    return markup.render("figure.html", picture=picture, width=width, alt=alt, otherwise=otherwise)
