"""A figure in the house style: an empty one to draw on, and a drawn one as an element of a page.

In a page a figure is SVG whose texts stay texts. Ink is drawn in one colour, which becomes that of the text around it,
and paper becomes the page's: so a figure is right in a light page, a dark one and JupyterLab.
"""

from __future__ import annotations

import hashlib
import html as escaping
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from mic2e_bench import texts
from mic2e_bench.report import markup

PX, POINTS = 96, 72  # pixels of a page, and typographic points, in an inch
INK, PAPER = "#111827", "#ffffff"
IN_A_PAGE = {INK: "currentColor", PAPER: "var(--paper, var(--jp-layout-color0, #ffffff))"}
MANY = 1500  # points of one line, beyond which they are pixels
STYLE = {
    "font.family": ["DejaVu Sans"],  # measured in it; as wide as what browsers have, or wider
    "font.size": 9,
    "figure.dpi": POINTS,  # so that a figure's own pixels are points
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.edgecolor": f"{INK}70",
    "grid.color": f"{INK}22",
    "xtick.color": f"{INK}70",
    "ytick.color": f"{INK}70",
    "hatch.linewidth": 0.6,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), INK),
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


def settle(figure: Figure) -> None:
    """Lay the figure out as it is now, and leave it so: what is added later is placed, and moves nothing."""
    with _in_style():
        figure.draw_without_rendering()
    figure.set_layout_engine("none")


def text_width(text: str, size: float) -> float:
    """How wide a text is, in points, at a size in points."""
    font = FontProperties(family="DejaVu Sans", size=size)
    with _in_style():
        return text_to_path.get_text_width_height_descent(texts.plain(text), font, ismath=False)[0]


def png(figure: Figure) -> bytes:
    """The figure's pixels on white, twice as fine as a page shows them."""
    return _saved(figure, format="png", dpi=160, facecolor=PAPER)


def svg(figure: Figure, alt: str = "", sized: bool = False) -> Markup:
    """The figure as an element of HTML: no header, and nothing of when and by what it was made.

    With ``alt`` it is a picture of that name. ``sized``: as large as it was drawn, to lie within another SVG.
    """
    for line in figure.findobj(Line2D):
        line.set_rasterized(len(line.get_xdata()) > MANY)
    for bars in figure.findobj(LineCollection):
        bars.set_rasterized(len(bars.get_paths()) > MANY)
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    text = _saved(figure, format="svg", metadata=nothing, dpi=160).decode()
    text = text[text.index("<svg ") :].replace("*{", ".drawn *{", 1)  # its style is not the page's
    text = re.sub(r"<[a-z][^>]*>", _of_the_page, re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL))
    text = re.sub(r"<text ([^>]*font-size: ([\d.]+)px[^>]*)>([^<]+)<", _as_wide_as_measured, _own_ids(text))
    named = f'role="img" aria-label="{escaping.escape(alt)}"' if alt else ""
    begin, end = text.index("<svg "), text.index(">") + 1
    box = re.search(r'viewBox="[^"]*"', text[begin:end])[0]
    title = f"<title>{escaping.escape(alt)}</title>" if alt else ""
    wide = round(figure.get_figwidth() * PX)
    looks = f"width:100%;min-width:{min(wide, 560)}px;max-width:{wide}px;height:auto"
    size = f'width="{wide}" height="{round(figure.get_figheight() * PX)}"' if sized else f'style="{looks}"'
    opening = f'<svg class="drawn" {named} {box} {size} xmlns="http://www.w3.org/2000/svg"'
    return Markup(f'{opening} xmlns:xlink="http://www.w3.org/1999/xlink">{title}{text[end:]}')


def _of_the_page(tag: re.Match) -> str:
    """A tag with the ink, paper and letters of the page, and places to a hundredth of a point."""
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", tag[0])
    text = re.sub(r"(\.\d\d)\d+", r"\1", re.sub(r' transform="rotate\(-0 [^"]*"', "", text))
    for drawn, shown in IN_A_PAGE.items():
        text = text.replace(f": {drawn}", f": {shown}")
    return text


def _own_ids(text: str) -> str:
    """Only the ids that something refers to, and none that another figure of the page has."""
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    text = re.sub(r'(<[a-z]+)\s+id="([^"]*)"', lambda tag: tag[0] if tag[2] in used else tag[1], text)
    prefix = "f" + hashlib.sha256(text.encode()).hexdigest()[:8]
    for name in used:
        text = text.replace(f"#{name}", f"#{prefix}{name}").replace(f'id="{name}"', f'id="{prefix}{name}"')
    return text


def _as_wide_as_measured(found: re.Match) -> str:
    """A text with letters that the measuring font lacks is drawn as wide as it was taken to be."""
    words = escaping.unescape(found[3])
    letters = get_font(findfont("DejaVu Sans")).get_charmap()
    if all(ord(letter) in letters for letter in words):
        return found[0]
    wide = text_width(words, float(found[2]))
    return f'<text {found[1]} textLength="{wide:.1f}" lengthAdjust="spacingAndGlyphs">{found[3]}<'


@contextmanager
def _in_style() -> Iterator[None]:
    """The house style; a letter that the font lacks is drawn as a box, which is no reason to complain."""
    with warnings.catch_warnings(), matplotlib.rc_context(STYLE):
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _saved(figure: Figure, **how: object) -> bytes:
    stream = io.BytesIO()
    for text in figure.findobj(Text):  # what no SVG may hold
        text.set_text(texts.plain(text.get_text()))
    with _in_style():
        figure.savefig(stream, **how)
    return stream.getvalue()


def html(figure: Figure | None, alt: str, otherwise: str) -> Markup:
    """The figure in a page; ``otherwise`` says why there is none."""
    drawing = svg(figure, texts.plain(alt)) if figure else ""
    return markup.render("figure.html", drawing=drawing, alt=alt, otherwise=otherwise)
