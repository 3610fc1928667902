"""What the command lines of this project share: files, counts, and one line where something is not as it must be."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any, NoReturn

from mic2e_bench import paths, units
from mic2e_bench.errors import BadInput, in_a_line


class Parser(argparse.ArgumentParser):
    """Answers wrong usage with one line and exit code 2."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._negative_number_matcher = re.compile(r"-\.?\d")  # ``-1s`` is a wrong value, not an option that is missing

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {in_a_line(message.rstrip('.'))}. What there is: {self.prog} --help\n")


def path(text: str) -> Path:
    """A file or folder, in which ``~`` is the home folder: ``--results=~/x`` too, which no shell expands."""
    try:
        return paths.expanded(text)
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def count(text: str) -> int:
    """A whole number from 1."""
    try:
        return units.count(text, "it")
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None
