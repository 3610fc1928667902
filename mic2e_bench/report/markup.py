"""All HTML: templates in ``templates/`` beside this file, in which every value is a text and never markup.

Only what another template made (``Markup``) is put into a page as it is.
"""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from mic2e_bench import texts
from mic2e_bench.version import VERSION

if TYPE_CHECKING:
    from jinja2 import Environment


def _shown(value: Any) -> Any:
    """A value in a page: a text in which nothing acts and that no browser refuses."""
    return texts.plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _templates() -> Environment:
    import jinja2  # 0.15 s, and most commands write no HTML

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"version": VERSION, "zip": zip}
    return made


def render(template: str, **values: Any) -> Markup:
    """A template of the folder with its values."""
    return Markup(_templates().get_template(template).render(values))


def data_uri(content: bytes, kind: str) -> str:
    """The address of a picture (``png``, ``jpeg``) that a page carries along."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
