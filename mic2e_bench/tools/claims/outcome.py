"""A claim with what was measured of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mic2e_bench.report.footnotes import DISTURBED
from mic2e_bench.tools.claims.claims_file import QUANTITIES, SERVED, Claim
from mic2e_bench.tools.claims.quantities import pairs
from mic2e_bench.tools.claims.stored import Stored
from mic2e_bench.units import digits

OF = {"vram": "of the memory", "ram": "of the memory", "load": "of the time", "first": "a warm call",
      "speed": "the speed", "throughput": "the throughput"}  # what a ratio is of  # fmt: skip


@dataclass(frozen=True)
class JudgedClaim:
    """A claim with what was measured: ``value`` and ``ci95`` in the quantity's unit, the records, the verdict."""

    claim: Claim
    verdict: str
    why: str = ""
    value: float | None = None
    ci95: Sequence[float] | None = None
    records: tuple[Stored, ...] = ()
    remark: str = ""
    command: str = ""  # what would answer it, where nothing does
    on: str = ""  # the device that the command needs

    @property
    def is_disturbed(self) -> bool:
        """Whether the figure rests on a record that was disturbed."""
        return self.value is not None and any(one.is_disturbed for one in self.records)

    @property
    def measured(self) -> str:
        """The figure for a cell, with its interval, its mark and how many it is of; or why there is none."""
        if self.value is None:
            return self.why
        unit = QUANTITIES[self.claim.of][2]
        sign = f"×{f' {OF[self.claim.of]}' if self.claim.of in OF else ''}" if unit == "×" else f" {unit}"
        low, high = map(digits, self.ci95 or (self.value, self.value))
        ends = f" ({low} to {high})" if low != high else ""
        mark = DISTURBED if self.is_disturbed else ""
        of = f", {self.sample}" if self.sample else ""
        return f"{digits(self.value)}{sign}{ends}{mark}{of}{f'; {self.remark}' if self.remark else ''}"

    @property
    def sample(self) -> str:
        """Of how many pictures or builds the figure is; of a throughput study, runs."""
        if self.value is None or not self.records:
            return ""
        first = self.records[0]
        if self.claim.of == "quality":
            return f"n = {_count(pairs(first), 'picture')}"
        if self.claim.of in SERVED:
            return f"n = {_count(sum(len(one.record.runs) for one in self.records), 'run')}"
        builds = len(set(first.record.raw["timing"].get("builds") or ())) if "timing" in first.record.raw else 0
        timed = self.claim.of in ("speed", "throughput", "seconds", "images_per_minute")
        return f"n = {_count((builds if timed else 0) or 1, 'build')}"

    @property
    def reason(self) -> str:
        """Why the verdict is what it is, and what would answer."""
        return "; ".join(filter(None, [self.why, self.command and f"to answer{self.where}: {self.command}"]))

    @property
    def where(self) -> str:
        """What the command needs, as a part of a sentence."""
        return f" on {self.on}" if self.on else ""

    @property
    def place(self) -> str:
        """With which weights and on which device it was measured."""
        return self.records[0].place if self.records and self.value is not None else ""


def _count(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"
