"""What the page of a record shows: facts, made of the record, its baseline and the pictures of both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mic2e_bench.catalog.metrics.latency import quartiles
from mic2e_bench.catalog.models import sources
from mic2e_bench.records import comparable
from mic2e_bench.records.ratios import speedup
from mic2e_bench.records.record import Record
from mic2e_bench.report import frame, record_pictures, record_tables
from mic2e_bench.report.metric_names import shown, title
from mic2e_bench.units import digits, missing, write

WORDS = {"ok": "ran as asked", "not_applied": "NOT APPLIED"}


def of(one: Record, base: Record | None, folder: Path) -> dict[str, Any]:
    """The values of ``record.html``; ``folder`` is the study's."""
    pictures = record_pictures.of(one, base, folder)
    return {
        "title": one.label,
        "id": one.id,
        "study": one.study,
        "credit": f"{one.pipeline}, {sources.label(one.model)}",
        "stand_ins": frame.stand_ins(one.model, frame.backbones(one)),
        "status": one.status,
        "words": WORDS.get(one.status, one.status),
        "reason": one.reason,
        "odd": _odd(one),
        "tiles": _tiles(one, base),
        "differing": record_tables.differing(one, base),
        "no_difference": "They are the baseline's own." if base or comparable.is_baseline(one) else
                         "There is no record of a baseline to compare them with.",
        "settings": record_tables.settings(one),
        "unapplied": bool(comparable.unapplied(one)),
        "times": record_tables.times(one),
        "raw": record_tables.raw(one),
        "components": record_tables.components(one),
        "memory": record_tables.memory(one),
        "phases": record_tables.phases(one),
        "quality": record_tables.quality(one, base),
        "where": _where(one.environment),
        "trial": _trial(one, base),
        **pictures,
    }  # fmt: skip


def _odd(one: Record) -> list[str]:
    """What disturbed it, what is odd about its samples, what was not read."""
    lines = [
        f"Disturbed while it was measured: {reason}. Such a figure decides nothing."
        for reason in comparable.disturbed(one)
    ]
    lines += [f"The calls' times: {warning}." for warning in one.warnings]
    for name, receipt in comparable.unapplied(one).items():
        asked, seen = (record_tables.text(receipt.get(key)) for key in ("asked", "seen"))
        lines.append(f"{name} was asked for and not in force: {asked} was asked, {seen} seen.")
    lines += [f"{key}: {entry['problem']}" for key, entry in one.quality.items() if entry.get("problem")]
    return [*lines, *map(str, one.environment.get("remarks") or ())]


def _tiles(one: Record, base: Record | None) -> list[tuple[str, str, str]]:
    """The figures that people look for first: name, value, what belongs to it."""
    tiles = []
    if one.latency_s:
        low, middle, high = quartiles(one.latency_s)
        calls = "one call" if len(one.latency_s) == 1 else f"{len(one.latency_s)} calls, half of them within " \
                f"{write(low, 's')} to {write(high, 's')}"  # fmt: skip
        tiles.append(("Latency, median", write(middle, "s"), calls))
    if base and base.status == one.status == "ok" and base.latency_s and one.latency_s:
        tiles.append(("Speed against the baseline", *_speed(base, one)))
    column = comparable.memory_of(one)
    if (peak := one.memory.get(column)) is not None:
        before = base.memory.get(column) if base else None
        ratio = f"{digits(peak / before)}× the baseline's" if before else ""
        tiles.append(
            (
                comparable.MEMORY_NAMES[column].capitalize().replace("vram", "VRAM").replace("rss", "RSS"),
                write(peak, "B"),
                ratio,
            )
        )
    for key in [name for name in comparable.JUDGES if not missing(one.quality.get(name, {}).get("value"))][:1]:
        entry = one.quality[key]
        if entry["against"] != one.id:
            tiles.append((title(key), shown(key, entry["value"]), record_tables.TOLD.get(comparable.told(one), "")))
    return tiles


def _speed(base: Record, one: Record) -> tuple[str, str]:
    found = speedup(base, one)
    if found.interval is None:
        return f"{digits(found.ratio)}×", f"without an interval ({found.why}): concludes nothing"
    ends = f"[{digits(found.interval[0])}, {digits(found.interval[1])}] with 95 %"
    return f"{digits(found.ratio)}×", ends if found.is_clear else f"{ends}: within the noise"


def _where(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Device, machine, versions, times and the conditions around."""
    versions = {"Python": environment.get("python"), **(environment.get("packages") or {})}
    times = [str(environment[key])[:19].replace("T", " ") for key in ("started", "finished") if environment.get(key)]
    facts = {
        "Device": environment.get("device"), "Driver": environment.get("driver"), "GPU": environment.get("gpu"),
        "Machine": environment.get("host"), "Measured": " to ".join(times) + " UTC" if times else None,
        "Versions": versions, "PyTorch": environment.get("torch_build"), "Commit": environment.get("git"),
        "Cores": environment.get("usable_cores"), "Load before": environment.get("load_1min"),
        "Memory": environment.get("ram_bytes") and write(environment["ram_bytes"], "B"),
        "Kernel": environment.get("kernel"), "During": environment.get("during"),
        "Disturbed": environment.get("disturbed") or "by nothing that was seen",
    }  # fmt: skip
    return [(name, record_tables.text(value)) for name, value in facts.items() if value not in (None, "", {}, [])]


def _trial(one: Record, base: Record | None) -> list[tuple[str, str]]:
    """The identity and what it is made of."""
    items = one.inputs.get("items") or {}
    facts = [
        ("Identity", one.id), ("Label", one.label), ("Study", one.study), ("Pipeline", one.pipeline),
        ("Weights", f"{sources.label(one.model)} ({record_tables.text(one.model)})"),
        ("Inputs", f"{len(items)} of {one.inputs.get('source')}: {', '.join(map(str, items))}"),
        ("Protocol", record_tables.text(one.protocol)),
    ]  # fmt: skip
    facts += [("Baseline", f"{base.label} ({base.id})")] if base else []
    return [*facts, ("SHA-256", one.digest)]
