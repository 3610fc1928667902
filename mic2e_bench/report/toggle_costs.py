"""What single settings cost in quality: as their toggles declare it, and as the records measured it."""

from __future__ import annotations

import pandas

from mic2e_bench.catalog import registry
from mic2e_bench.plan import protocol
from mic2e_bench.plan.settings import show
from mic2e_bench.report.findings import Findings

COLUMNS = {"quality", "quality_visible", "status", "baseline", "study"}


def measured(table: pandas.DataFrame) -> dict[str, str]:
    """By toggle, in words: the quality of the trials that differ from their study's baseline in that setting alone.

    ``table`` is what ``frame.load`` returns. Toggles that no such trial has changed are not in it.
    """
    if COLUMNS - set(table):
        return {}
    names = [name for name in (*registry.toggles(), *protocol.VARIED) if name in table]
    found: dict[str, list[tuple[float, bool | None]]] = {}
    for _, rows in table[table["status"] == "ok"].groupby("study", sort=False):
        settings = {index: [show(value) for value in row] for index, row in rows[names].iterrows()}
        base = next((settings[index] for index in rows.index[rows["baseline"].astype(bool)]), None)
        for index, row in rows.iterrows() if base else ():
            changed = [name for name, one, other in zip(names, settings[index], base, strict=True) if one != other]
            if len(changed) == 1 and pandas.notna(row["quality"]):
                found.setdefault(changed[0], []).append((row["quality"], row["quality_visible"]))
    return {name: _words(values) for name, values in found.items()}


def _words(values: list[tuple[float, bool | None]]) -> str:
    low, high = (f"{pick(value for value, _ in values):.1f}" for pick in (min, max))
    unseen = sum(visible is False for _, visible in values)
    words = f"quality {low if low == high else f'{low} to {high}'} % in {len(values)} trial{'s' * (len(values) > 1)}"
    return f"{words}, no visible difference in {unseen}" if unseen else words


def varied(found: Findings) -> list[tuple[str, str]]:
    """The settings that a study varies: what each does, its source, and its cost as declared and as measured."""
    seen, known = measured(found.trials), registry.toggles()
    rows = [
        (
            name,
            f"{known[name].about} Source: {known[name].source}. "
            f"Cost in quality: declared {known[name].cost}; measured alone: {seen.get(name, 'not here')}.",
        )
        for name in found.study.varied
        if name in known
    ]
    return rows + [(name, protocol.VARIED[name].about) for name in found.study.varied if name not in known]
