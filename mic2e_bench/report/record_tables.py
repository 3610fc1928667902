"""The tables on the page of a record: settings with their receipts, times, memory and quality."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mic2e_bench.catalog.metrics.latency import quartiles
from mic2e_bench.plan.settings import show
from mic2e_bench.records import comparable
from mic2e_bench.records.record import Record
from mic2e_bench.report.metric_names import shown, title
from mic2e_bench.report.tabular import Table
from mic2e_bench.units import NONE, digits, missing, write

TOLD = {
    "same": "equal pixels", "rounding": "cannot be told from rounding", "visible": "beyond rounding",
    "too few": "too few pictures to say", "unknown": "not known",
}  # fmt: skip
PEAKS = {
    "peak_vram_reserved_bytes": "peak VRAM, reserved by the allocator",
    "peak_vram_allocated_bytes": "peak VRAM, in tensors",
    "peak_process_device_bytes": "peak of the process on the device",
    "peak_device_bytes": "peak of the device, all that uses it",
    "peak_rss_bytes": "peak RSS of a call, libraries included",
    "load_peak_rss_bytes": "peak RSS while loading",
    "loaded_rss_bytes": "RSS of the loaded pipeline",
    "rss_before_load_bytes": "RSS before loading",
    "weights_bytes": "weights",
}
PHASES = {
    "rss_bytes": "RSS", "vram_reserved_bytes": "VRAM reserved", "vram_allocated_bytes": "VRAM in tensors",
    "process_device_bytes": "process on device", "device_bytes": "device, all",
}  # fmt: skip
MOST_SAMPLES = 200  # of one kind that are printed


def text(value: Any) -> str:
    """Any value of a record, on a page."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {text(each)}" for name, each in value.items()) or "none"
    if isinstance(value, (list, tuple)) and not (len(value) == 2 and all(isinstance(each, int) for each in value)):
        return ", ".join(map(text, value)) or "none"
    if isinstance(value, float) and len(str(value)) > 8:
        return f"{value:.4g}"
    return NONE if value is None else str(show(value))


def differing(one: Record, base: Record | None) -> Table:
    """The settings in which it is not its baseline."""
    other = base.settings if base else {}
    names = [name for name in one.settings if base and (name not in other or other[name] != one.settings[name])]
    rows = [[name, text(one.settings[name]), text(other.get(name)), _in_force(one, name)] for name in names]
    return Table(("setting", "here", "baseline", "in force"), rows, marks=_marks(one, names), left=range(4))


def _in_force(one: Record, name: str) -> str:
    receipt = one.receipts.get(name)
    return NONE if receipt is None else "yes" if receipt.get("applied") else "NO"


def _marks(one: Record, names: Iterable[str]) -> list[str]:
    unapplied = comparable.unapplied(one)
    return ["not_applied" if name in unapplied else "" for name in names]


def settings(one: Record) -> Table:
    """Every setting with its receipt; those that were not in force first."""
    unapplied = comparable.unapplied(one)
    names = sorted(dict.fromkeys([*one.settings, *one.receipts]), key=lambda name: name not in unapplied)
    rows = []
    for name in names:
        receipt = one.receipts.get(name, {})
        asked = receipt.get("asked", one.settings.get(name))
        how = "; ".join(str(receipt[key]) for key in ("how", "reason") if receipt.get(key)) or NONE
        rows.append([name, text(asked), text(receipt.get("seen")), _in_force(one, name), how])
    header = ("setting", "asked", "seen", "in force", "how that was seen")
    return Table(header, rows, marks=_marks(one, names), left=range(5))


def times(one: Record) -> Table:
    """Medians and single times, from the import to a later call."""
    timing = one.raw["timing"]
    rows = [["one call, median", _spread(one.latency_s)]] if one.latency_s else []
    rows += [["one step, median", _spread(steps)]] if (steps := timing.get("step_s")) else []
    single = {"importing the libraries": one.import_s, "loading": one.load_s}
    single |= {f"  of it: {name}": value for name, value in (timing.get("load_parts_s") or {}).items()}
    single |= {"first call": one.first_call_s, "all calls together": one.calls_s}
    rows += [[name, write(value, "s")] for name, value in single.items() if not missing(value)]
    rows += [["energy of a call, median", f"{digits(quartiles(one.energy_j)[1])} J"]] if one.energy_j else []
    return Table(("what", "time"), rows)


def _spread(samples: Sequence[float]) -> str:
    low, middle, high = quartiles(samples)
    return f"{write(middle, 's')} ± {write((high - low) / 2, 's')}" if high > low else write(middle, "s")


def raw(one: Record) -> list[tuple[str, str]]:
    """The samples behind the medians, in milliseconds."""
    kinds = {
        "Calls": one.latency_s, "Warm-up": one.warmup_s, "Steps": one.raw["timing"].get("step_s"),
        "The same baseline once more, in the same rounds": one.placebo_s,
    }  # fmt: skip
    said = []
    for name, samples in kinds.items():
        if samples:
            more = f" and {len(samples) - MOST_SAMPLES} more" if len(samples) > MOST_SAMPLES else ""
            said.append((f"{name} (ms):", ", ".join(digits(each * 1e3, 4) for each in samples[:MOST_SAMPLES]) + more))
    return said


def components(one: Record) -> Table:
    """Where one watched call went."""
    total = one.witnessed_s
    rows = [[name, str(len(samples)), write(sum(samples), "s"), f"{sum(samples) / total:.0%}" if total else NONE]
            for name, samples in one.component_s.items() if samples]  # fmt: skip
    words = f"One call that was watched: {write(total, 's')}." if total else ""
    return Table(("component", "calls", "time", "share"), rows, words)


def memory(one: Record) -> Table:
    return Table(("what", "size"), [[words, write(one.memory[name], "B")] for name, words in PEAKS.items()
                                    if not missing(one.memory.get(name))])  # fmt: skip


def phases(one: Record) -> Table:
    """Peaks by phase."""
    phases = one.memory.get("phases") or {}
    names = [name for name in PHASES if any(not missing(of.get(name)) for of in phases.values())]
    rows = [[phase, *(NONE if missing(of.get(name)) else write(of[name], "B") for name in names)]
            for phase, of in phases.items()]  # fmt: skip
    return Table(("peak in the phase", *(PHASES[name] for name in names)), rows if names else [])


def quality(one: Record, base: Record | None) -> Table:
    """Every score with its interval, what it is against and what may be said of it."""
    labels = {one.id: "itself", comparable.TRUTH: "the known answer", comparable.FLOAT32: "the same in float32"}
    labels |= {base.id: f"baseline: {base.label}"} if base else {}
    rows = []
    for key, entry in one.quality.items():
        low, high = entry["ci95"] or (None, None)
        against = str(entry["against"])
        rows.append([
            title(key), shown(key, entry["value"]), NONE if missing(low) else f"{digits(low)} to {digits(high)}",
            str(entry.get("n") or NONE), labels.get(against, against), TOLD.get(entry.get("told"), NONE),
            NONE if missing(entry.get("floor")) else digits(entry["floor"]), str(entry["backbone"] or NONE),
        ])  # fmt: skip
    header = ("metric", "value", "95 %", "pictures", "against", "what may be said", "noise", "measured with")
    reading = ["Noise: the value that pictures get between which nothing but rounding differs.",
               "An interval is given over 100 inputs or more."] if rows else []  # fmt: skip
    return Table(header, rows, left=(0, 4, 5, 7), reading=reading)
