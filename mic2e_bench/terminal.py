"""What is printed is text: nothing in it moves the cursor, and a letter that a terminal lacks is written as another."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from mic2e_bench import texts

# a progress bar begins its line anew, or moves to another bar's; it does nothing else
_BAR = re.compile(r"\r|\n*(?:\x1b\[A)+\Z")
_LETTERS = str.maketrans(
    {"─": "-", "–": "-", "→": "->", "×": "x", "±": "+/-", "…": "...", "·": "|", "“": '"', "”": '"'}
)


class Shown:
    """A stream of texts before the one that has its place; all but the writing is that one's."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        bar = _BAR.match(text)
        begun = bar[0] if bar else ""
        shown = begun + texts.plain(text[len(begun) :])
        try:
            self.stream.write(shown)
        except UnicodeEncodeError:
            encoding = self.stream.encoding
            self.stream.write(shown.translate(_LETTERS).encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)


@contextlib.contextmanager
def shown() -> Iterator[None]:
    """Everything that is printed meanwhile, to standard output and to standard error, is text."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(Shown, before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
