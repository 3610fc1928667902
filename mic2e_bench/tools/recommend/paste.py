"""The settings of a point, whole and ready to paste into a params file, and those that tell it from the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mic2e_bench import documents
from mic2e_bench.catalog import registry
from mic2e_bench.plan import protocol
from mic2e_bench.plan.settings import resolve, show
from mic2e_bench.report.tables import SETTINGS
from mic2e_bench.tools.recommend.candidates import Candidates
from mic2e_bench.tools.recommend.point import Point

FLOW = {"default_flow_style": True, "width": 1_000_000}


def lines(point: Point, among: Candidates) -> list[str]:
    """``settings: {...}``, and ``protocol: {...}`` where that was varied like a setting: YAML, a line each."""
    parts = {"settings": settings(point, among), "protocol": protocols(point, among)}
    return [f"{key}: {documents.as_yaml(value, **FLOW).strip()}" for key, value in parts.items() if value]


def settings(point: Point, among: Candidates) -> dict[str, Any]:
    """The settings of a point to paste into a params file: what differs from the pipeline's defaults, what differs
    among the candidates, what their baseline names, and the usual ones.
    """
    default = resolve({}, registry.pipeline(point.row["pipeline"]), "")
    named = (*SETTINGS, *telling(among.rows), *among.asked)
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name in default
        if name not in protocol.VARIED and name in point.row
        for value in (point.row[name],)
        if name in named or value != default[name]
    }


def protocols(point: Point, among: Candidates) -> dict[str, Any]:
    """What of the protocol was varied like a setting."""
    return {name: point.row[name] for name in protocol.VARIED if name in telling(among.rows)}


def differing(point: Point, among: Candidates) -> str:
    """The settings of a point that differ among the candidates."""
    return ", ".join(f"{key} {show(point.row.get(key))}" for key in telling(among.rows)) or "the only ones measured"


def telling(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The settings that differ among rows."""
    return [name for name in (*registry.toggles(), *protocol.VARIED) if len({str(row.get(name)) for row in rows}) > 1]
