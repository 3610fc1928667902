"""Texts from outside, as they are shown: one function for each place in which a character could do more than be read.

Nobody knows what a label, a prompt, an error of a library or a file's name holds. In a terminal a character can move
the cursor, in Markdown, CSV and Python it can begin a link, a formula or a line of code.
"""

from __future__ import annotations

import json
import re
from typing import Any

# what acts or hides instead of being seen: controls, marks of the writing direction, what no XML or UTF-8 can hold
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufdd0-\ufdef\ufeff\ufff9-\ufffb"
    "\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
# what would be markup in Markdown, or a new column of its tables; a bracket alone is none
_MARKDOWN = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "\\|", "\\": "\\\\", "`": "\\`"})
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_ENCODING = re.compile(r"coding(?=[:=])")  # a comment that says so in the first two lines decides how a file is read


def plain(text: Any) -> str:
    """A text in which nothing acts: what would is written as its escape (``\\x1b``); line breaks and tabs stay."""
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def one_line(text: Any) -> str:
    """The same on one line."""
    return plain(" ".join(str(text).split()))


def markdown(text: str) -> str:
    """A text on one line that cannot become a link or HTML in Markdown, nor break a table of it."""
    return one_line(text).translate(_MARKDOWN).replace("](", "]\\(")


def csv_cell(value: Any) -> Any:
    """A cell that a spreadsheet shows and does not compute; numbers stay as they are."""
    if not isinstance(value, str):
        return value
    text = plain(value)
    if not text.lstrip().startswith(_FORMULA) or _is_number(text):
        return text
    return f"'{text}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def comment(text: Any) -> str:
    """A comment of Python, on one line and no declaration of an encoding."""
    return f"# {_ENCODING.sub('coding ', one_line(text))}".rstrip()


def literal(value: Any) -> str:
    """A value as Python writes it; texts in double quotes where that is the same."""
    is_same = isinstance(value, str) and value.isprintable()
    return json.dumps(value, ensure_ascii=False) if is_same else repr(value)
