"""What the page of a record shows: facts and tables, made of the record, its baseline and the pictures of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mic2e_bench.catalog.metrics.latency import quartiles
from mic2e_bench.catalog.models import sources
from mic2e_bench.plan.settings import show
from mic2e_bench.records import comparable
from mic2e_bench.records.ratios import speedup
from mic2e_bench.records.record import Record
from mic2e_bench.report import frame, record_pictures
from mic2e_bench.report.metric_names import shown, title
from mic2e_bench.report.tabular import Table
from mic2e_bench.units import NONE, digits, missing, write

WORDS = {"ok": "ran as asked", "not_applied": "NOT APPLIED"}
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
        "differing": _differing(one, base),
        "no_difference": "They are the baseline's own." if base or comparable.is_baseline(one) else
                         "There is no record of a baseline to compare them with.",
        "settings": _settings(one),
        "unapplied": bool(comparable.unapplied(one)),
        "times": _times(one),
        "raw": _raw(one),
        "components": _components(one),
        "memory": _memory(one),
        "phases": _phases(one),
        "quality": _quality(one, base),
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
        asked, seen = (text(receipt.get(key)) for key in ("asked", "seen"))
        lines.append(f"{name} was asked for and not in force: {asked} was asked, {seen} seen.")
    lines += [f"{key}: {entry['problem']}" for key, entry in one.quality.items() if entry.get("problem")]
    return [*lines, *map(str, one.environment.get("remarks") or ())]


def text(value: Any) -> str:
    """Any value of a record, on a page."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {text(each)}" for name, each in value.items()) or "none"
    if isinstance(value, (list, tuple)) and not (len(value) == 2 and all(isinstance(each, int) for each in value)):
        return ", ".join(map(text, value)) or "none"
    if isinstance(value, float) and len(str(value)) > 8:
        return f"{value:.4g}"
    return NONE if value is None else str(show(value))


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
            tiles.append((title(key), shown(key, entry["value"]), TOLD.get(comparable.told(one), "")))
    return tiles


def _speed(base: Record, one: Record) -> tuple[str, str]:
    found = speedup(base, one)
    if found.interval is None:
        return f"{digits(found.ratio)}×", f"without an interval ({found.why}): concludes nothing"
    ends = f"[{digits(found.interval[0])}, {digits(found.interval[1])}] with 95 %"
    return f"{digits(found.ratio)}×", ends if found.is_clear else f"{ends}: within the noise"


def _differing(one: Record, base: Record | None) -> Table:
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


def _settings(one: Record) -> Table:
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


def _times(one: Record) -> Table:
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


def _raw(one: Record) -> list[tuple[str, str]]:
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


def _components(one: Record) -> Table:
    """Where one watched call went."""
    total = one.witnessed_s
    rows = [[name, str(len(samples)), write(sum(samples), "s"), f"{sum(samples) / total:.0%}" if total else NONE]
            for name, samples in one.component_s.items() if samples]  # fmt: skip
    words = f"One call that was watched: {write(total, 's')}." if total else ""
    return Table(("component", "calls", "time", "share"), rows, words)


def _memory(one: Record) -> Table:
    return Table(("what", "size"), [[words, write(one.memory[name], "B")] for name, words in PEAKS.items()
                                    if not missing(one.memory.get(name))])  # fmt: skip


def _phases(one: Record) -> Table:
    """Peaks by phase."""
    phases = one.memory.get("phases") or {}
    names = [name for name in PHASES if any(not missing(of.get(name)) for of in phases.values())]
    rows = [[phase, *(NONE if missing(of.get(name)) else write(of[name], "B") for name in names)]
            for phase, of in phases.items()]  # fmt: skip
    return Table(("peak in the phase", *(PHASES[name] for name in names)), rows if names else [])


def _quality(one: Record, base: Record | None) -> Table:
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
    return [(name, text(value)) for name, value in facts.items() if value not in (None, "", {}, [])]


def _trial(one: Record, base: Record | None) -> list[tuple[str, str]]:
    """The identity and what it is made of."""
    items = one.inputs.get("items") or {}
    facts = [
        ("Identity", one.id), ("Label", one.label), ("Study", one.study), ("Pipeline", one.pipeline),
        ("Weights", f"{sources.label(one.model)} ({text(one.model)})"),
        ("Inputs", f"{len(items)} of {one.inputs.get('source')}: {', '.join(map(str, items))}"),
        ("Protocol", text(one.protocol)),
    ]  # fmt: skip
    facts += [("Baseline", f"{base.label} ({base.id})")] if base else []
    return [*facts, ("SHA-256", one.digest)]
