"""What records of several devices say of the same claims, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mic2e_bench.tools.claims.claims_file import Claim
from mic2e_bench.tools.claims.judge import judge
from mic2e_bench.tools.claims.sheet import NOTHING, MeasuredCell, Sheet, judged
from mic2e_bench.tools.claims.stored import Stored

TITLE, GUIDE = "The same claims by device", "All guides"


def grouped(records: Iterable[Stored]) -> dict[str, list[Stored]]:
    """The measured records of each device, GPUs first, then by name."""
    found: dict[str, list[Stored]] = {}
    for one in sorted(records, key=lambda one: (not one.on_gpu, one.device)):
        if one.is_measured:
            found.setdefault(one.device, []).append(one)
    return found


def sheets(claims: Sequence[Claim], records: Sequence[Stored]) -> list[Sheet]:
    """One sheet with the claims that more than one device answers, a column a device; none where there is no such."""
    devices = grouped(records)
    answered = []
    for claim in claims if len(devices) > 1 else ():
        cells = {device: _cell(claim, of_one) for device, of_one in devices.items()}
        if sum(isinstance(cell, MeasuredCell) for cell in cells.values()) > 1:
            answered.append((claim, cells))
    able = [device for device in devices if any(isinstance(cells[device], MeasuredCell) for _, cells in answered)]
    rows = [[c.section, c.what, c.pipeline.name, c.claimed, *map(cells.get, able)] for c, cells in answered]
    return [Sheet(TITLE, GUIDE, ["section", "optimisation", "pipeline", "claimed", *able], rows)] if rows else []


def _cell(claim: Claim, of_one: Sequence[Stored]) -> str | MeasuredCell:
    """The best figure of one device, its verdict and its weights."""
    outcome = judge(claim, of_one)
    if outcome.value is None:
        return NOTHING
    return judged(outcome).at(outcome.records[0].weights)
