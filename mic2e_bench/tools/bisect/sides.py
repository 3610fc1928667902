"""What is put in place of GOOD for each comparison: a mix of two locks' packages, or a commit."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mic2e_bench.errors import BadInput
from mic2e_bench.tools.bisect import commits, environments, groups, lock
from mic2e_bench.tools.bisect.contest import Untestable
from mic2e_bench.tools.bisect.environments import Environment, Uv
from mic2e_bench.tools.bisect.lock import Pins
from mic2e_bench.tools.bisect.measured import Side

Say = Callable[[str], None]


@dataclass
class Packages:
    """The sides of two locks. ``found`` is what only both environments tell: the groups, and uv's complaints."""

    good_pins: Pins
    bad_pins: Pins
    work: Path
    say: Say
    found: dict[str, Any] = field(default_factory=dict)
    _ready: bool = False
    _checked: list[str] = field(default_factory=list)  # the last mix that uv found nothing wrong with

    @property
    def moves(self) -> list[lock.Move]:
        return lock.moves(self.good_pins, self.bad_pins)

    def _environment(self, name: str) -> Environment:
        uv = Uv(environments.find_uv(), self.work)
        return Environment(uv, self.work / name, self.work / "harness")

    def prepare(self) -> None:
        """See that both locks can be installed, and that there is room, before anything is. Raises ``BadInput``."""
        if not self._ready:
            self._environment("good").resolve(self.good_pins, "GOOD")
            self._environment("other").resolve(self.bad_pins, "BAD")
            uv = Uv(environments.find_uv(), self.work)
            self.say(environments.room({**self.good_pins, **self.bad_pins}, self.moves, uv))
            environments.freeze(self.work)
            self._ready = True

    def good(self) -> Side:
        return self._with("good", self.good_pins, "GOOD")

    def bad(self) -> Side:
        return self._with("other", self.bad_pins, "BAD")

    def _with(self, name: str, pins: Pins, what: str) -> Side:
        self.prepare()
        made = self._environment(name)
        made.install(pins, what)
        return Side(made.python)

    def look(self) -> dict[str, Any]:
        """What moves together, and what uv says of each side, from both environments."""
        self.good()
        self.bad()
        both = [self._environment(name) for name in ("good", "other")]
        found, reasons = groups.of(self.moves, *(groups.installed(one.site) for one in both))
        known = [sorted(one.complaints()) for one in both]
        return {"groups": found, "reasons": reasons, "complaints": {"GOOD": known[0], "BAD": known[1]}}

    def mixed(self, names: Sequence[str]) -> Side:
        """GOOD with these packages of BAD. Raises ``Untestable`` where uv refuses that."""
        try:
            side = self._with("other", lock.mixed(self.good_pins, self.bad_pins, frozenset(names)), "the mix")
        except BadInput as error:
            raise Untestable(str(error).removeprefix("bisect: ")) from None
        if self._checked != [*names]:
            known = {line for lines in self.found["complaints"].values() for line in lines}
            if new := sorted(self._environment("other").complaints() - known):
                raise Untestable(f"uv refuses it: {new[0]}")
            self._checked = [*names]
        return side


@dataclass
class Commits:
    """The sides of a checkout's commits: of this harness (``is_own``), or of a package that it measures with."""

    repo: Path
    is_own: bool
    work: Path

    def side(self, name: str, commit: str) -> Side:
        """Raises ``BadInput`` where the commit cannot be had."""
        folder, mark = self.work / name, self.work / f"{name}.commit"
        if not (mark.is_file() and mark.read_text() == commit):
            mark.unlink(missing_ok=True)
            if self.is_own:
                commits.tree(self.repo, commit, folder, has_history=False)
            else:
                commits.built(self.repo, commit, folder, Uv(environments.find_uv(), self.work))
            mark.write_text(commit)
        if self.is_own:
            return Side(Path(sys.executable), (folder,))
        return Side(Path(sys.executable), (folder, environments.freeze(self.work)))

    def other(self, commit: str) -> Side:
        """Raises ``Untestable``."""
        try:
            return self.side("other", commit)
        except BadInput as error:
            raise Untestable(str(error).removeprefix("bisect: ")) from None


def toplevel(repo: Path) -> Path:
    """The checkout's own folder, of one in it; the same where it is no checkout, which is said later."""
    try:
        return Path(commits.git(repo, "rev-parse", "--show-toplevel") or repo)
    except (subprocess.CalledProcessError, OSError):
        return repo


def named(prefix: str, parts: Sequence[str]) -> str:
    """A folder's name for some packages."""
    return f"{prefix}-{hashlib.sha256(' '.join(sorted(parts)).encode()).hexdigest()[:10]}"
