"""What a person asked for and cannot have, said in one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from mic2e_bench import texts

MOST = 1200  # characters of a line


class BadInput(ValueError):
    """One clear line: what was asked, where, what exists, what to do. The commands exit with 2 on it."""

    def __init__(self, line: object = "") -> None:
        super().__init__(in_a_line(str(line)))

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of it: the line, and not where it comes from."""
        return [f"mic2e-bench: {self}"]


def in_a_line(text: str) -> str:
    """A text as one line in which nothing acts; of a long one both ends."""
    if len(text) > MOST:
        text = f"{text[: MOST - 400]} … {text[-400:]}"
    return texts.one_line(text)


class Unavailable(RuntimeError):
    """A package, device or weight file that this machine does not have; the trial becomes ``unavailable``."""


def unknown(what: str, given: object, known: Iterable[str], where: str = "") -> BadInput:
    """The error for a name that does not exist, with the nearest existing one and all that exist."""
    known = sorted(known)
    place = f"{where}: " if where else ""
    return BadInput(f"{place}unknown {what} '{given}'.{nearest(given, known)} Known: {', '.join(known) or 'none'}.")


def nearest(given: object, known: Iterable[str]) -> str:
    """`` Did you mean '...'?`` where a known name is near enough, else nothing."""
    near = difflib.get_close_matches(str(given)[:100], list(known), n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""


class UsedUp(Exception):
    """The end of the time that a run was given, in the middle of something."""
