"""An executed notebook as a part of a page: its outputs without the code, its headings lower, nothing endless in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from markupsafe import Markup, escape

from mic2e_bench import files
from mic2e_bench.report import markup
from mic2e_bench.report.findings import SHORT

MOST_ROWS = 500  # of a table
PAGE_BYTES = 12_000_000  # of all pictures in the details of one page, which stays under 15 MB
HIDDEN = "notebook-only"  # a tag of cells that say nothing in a page
_ROWS = re.compile(r"(<tbody>)(.*?)(</tbody>.*?</table>)", re.DOTALL)
_ANCHOR = re.compile(r"""<a class="anchor-link"[^>]*>[^<]*</a>""")  # a mark behind each heading
_PICTURE = re.compile(r"""<img\b[^>]*?\ssrc="data:[^"]+"[^>]*>""")
_EMPTY_LINK = re.compile(r"(<a href=[^>]*>)(</a>)")


def of_notebook(path: Path) -> Markup:
    """The texts and the outputs of an executed notebook, in order. They are HTML that this package made."""
    from nbconvert.filters.markdown_mistune import markdown2html_mistune  # slow to import, and only needed here

    parts = []
    for cell in json.loads(files.read_bytes(path, files.MOST_JSON))["cells"]:
        if HIDDEN in cell["metadata"].get("tags", []):
            continue
        if cell["cell_type"] == "markdown":
            parts.append(_ANCHOR.sub("", markdown2html_mistune("".join(cell["source"]))))
        parts += ["".join(out["data"]["text/html"]) for out in cell.get("outputs", []) if "text/html" in _data(out)]
    return Markup("\n".join(parts))


def _data(output: dict) -> dict:
    return output.get("data") or {}


def lowered(html: Markup, by: int) -> Markup:
    """The same with its headings further down, h6 at most."""
    return Markup(re.sub(r"<(/?)h([1-6])\b", lambda tag: f"<{tag[1]}h{min(6, int(tag[2]) + by)}", html))


def leading(html: Markup, folder: str) -> Markup:
    """The same for a page that lies elsewhere: links to the study's pictures go by ``folder`` (quoted; "" or "x/")."""
    return Markup(re.sub('href="images/', lambda _: f'href="{folder}images/', html))  # a Markup's replace escapes


def credited(html: Markup, stand_ins: str) -> Markup:
    """The same for a page that says at its top what stands in for what: captions have the short word."""
    if not stand_ins:
        return html
    said = f"<li>Stand-ins: {SHORT}.</li>"  # an explanation that the top of the page gives
    return Markup(html.replace(str(escape(stand_ins)), SHORT).replace(said, ""))


def cut(html: Markup, link: str) -> Markup:
    """The same with the first ``MOST_ROWS`` rows of each table, and how many more ``link`` has."""

    def shorter(table: re.Match) -> str:
        first, *rows = table[2].split("<tr")
        if len(rows) <= MOST_ROWS:
            return table[0]
        words = markup.render("left_out.html", count=len(rows) - MOST_ROWS, what="rows", link=link)
        return "".join([table[1], first, *(f"<tr{row}" for row in rows[:MOST_ROWS]), table[3], words])

    return Markup(_ROWS.sub(shorter, html))


def within(budget: int) -> Callable[[Markup, str], Markup]:
    """A function that leaves out of HTML the pictures for which no bytes of the budget are left, and says so."""
    left = budget

    def fitted(html: Markup, link: str) -> Markup:
        nonlocal left
        gone = 0

        def kept(picture: re.Match) -> str:
            nonlocal left, gone
            if len(picture[0]) <= left:
                left -= len(picture[0])
                return picture[0]
            gone += 1
            return ""

        shown = _EMPTY_LINK.sub(r"\1full-size picture\2", _PICTURE.sub(kept, html))
        return Markup(shown) + (markup.render("left_out.html", count=gone, what="pictures", link=link) if gone else "")

    return fitted
