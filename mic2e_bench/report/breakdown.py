"""Where time and memory go: a call by component, the peaks by phase, the start, and the work against the ceilings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mic2e_bench.catalog.metrics import components, cost, startup
from mic2e_bench.catalog.metrics.latency import quartiles
from mic2e_bench.catalog.metrics.memory import fragmentation
from mic2e_bench.records.ratios import images_to_pay_off, speedup
from mic2e_bench.records.record import Record
from mic2e_bench.report.findings import Findings
from mic2e_bench.report.tabular import Table
from mic2e_bench.units import NONE, digits, missing, scale

PARTS = {
    "text encoder": "text_encoder_s",
    "image encoder": "image_encoder_s",
    "denoiser": "denoiser_s",
    "VAE encode": "vae_encode_s",
    "VAE decode": "vae_decode_s",
    "rest": "rest_s",
}
TIME = (
    "One call that was watched, by component; the rest is resizing, noise, scheduler and making the image, and all add "
    "up to that call. Hooks: its seconds over the median of the timed calls, which nothing watches."
)
MEMORY = {
    "rss_bytes": "Peak resident set size of the process in each phase, the libraries included.",
    "vram_reserved_bytes": "Peak GPU memory that PyTorch's allocator held in each phase; unused: held beyond tensors.",
}
STARTUP = (
    "What a new process waits for: importing the libraries, loading (to the device: part of it), the first call. Pays "
    "off: the number of images after which a start slower than the baseline's has been made up for."
)
COST = (
    "FLOPs by PyTorch's own counter; bytes moved are an estimate: weights, inputs and outputs of each layer, once. "
    "In brackets: the share of what a matrix product and a copy reached on this device in the same process."
)


def all_of(found: Findings) -> list[Table]:
    """The tables for which there are figures."""
    shown = [
        (row["label"], found.records[row["id"]])
        for _, row in found.trials.iterrows()
        if row["id"] in found.records and found.records[row["id"]].latency_s
    ]
    made = [time(found, shown), memory(found, shown), start(found, shown), work(found, shown)]
    return [table for table in made if table]


def _table(found: Findings, header: Sequence[str], rows: list[Sequence[str]], caption: str) -> Table | None:
    """Without the columns that nothing is known of; ``None`` where that is all."""
    kept = [0, *(i for i in range(1, len(header)) if any(row[i] != NONE for row in rows))]
    if len(kept) < 2:
        return None
    return Table([header[i] for i in kept], [[row[i] for i in kept] for row in rows], f"{found.credit}. {caption}")


def _scaled(name: str, columns: Sequence[Sequence[Any]]) -> tuple[str, list[list[str]]]:
    """Columns of numbers in one unit, which is returned with them."""
    factor, unit = scale(name, [value for column in columns for value in column])
    return unit, [[NONE if missing(value) else digits(value * factor) for value in column] for column in columns]


def time(found: Findings, shown: list[tuple[str, Record]]) -> Table | None:
    """A row a trial: seconds by component."""
    of = {metric.name: metric.compute for metric in vars(components).values() if hasattr(metric, "compute")}
    columns = [[one.witnessed_s for _, one in shown]]
    columns += [[of[name](one) if one.witnessed_s else None for _, one in shown] for name in PARTS.values()]
    unit, cells = _scaled("latency_s", columns)
    hooks = [digits(components.hooks_cost(one)) for _, one in shown]
    rows = [[label, *texts, cost] for (label, _), *texts, cost in zip(shown, *cells, hooks, strict=True)]
    return _table(found, ("trial", f"watched call ({unit})", *PARTS, "hooks (×)"), rows, TIME)


def memory(found: Findings, shown: list[tuple[str, Record]]) -> Table | None:
    """A row a trial: peak memory by phase."""
    name = "vram_reserved_bytes" if "vram" in found.memory else "rss_bytes"
    phases = list(dict.fromkeys(phase for _, one in shown for phase in one.memory.get("phases", {})))
    columns = [[one.memory.get("phases", {}).get(phase, {}).get(name) for _, one in shown] for phase in phases]
    columns.append([one.memory.get("rss_before_load_bytes") if name == "rss_bytes" else None for _, one in shown])
    columns.append([one.memory.get("weights_bytes") for _, one in shown])
    columns.append([fragmentation(one) if "vram" in name else None for _, one in shown])
    if not phases:
        return None
    unit, cells = _scaled("peak_bytes", columns)
    rows = [[label, *texts] for (label, _), *texts in zip(shown, *cells, strict=True)]
    names = (f"{column} ({unit})" for column in (*phases, "before loading", "weights", "unused"))
    return _table(found, ("trial", *names), rows, MEMORY[name])


def start(found: Findings, shown: list[tuple[str, Record]]) -> Table | None:
    """A row a trial: what comes before the first image, and when it has paid off."""
    baseline = found.records.get(found.baseline["id"])
    rows = []
    for label, one in shown:
        seconds = [one.import_s, one.load_s, one.place_s, one.first_call_s]
        seconds += [startup.time_to_first_image(one), quartiles(one.latency_s)[1]]
        rows.append(
            [label, *(NONE if missing(value) else f"{digits(value)} s" for value in seconds), _pays(one, baseline)]
        )
    header = ("trial", "import", "load", "to the device", "first call", "first image", "later calls", "pays off after")
    return _table(found, header, rows, STARTUP)


def _pays(one: Record, baseline: Record | None) -> str:
    if baseline is None or one.id == baseline.id or not one.status == baseline.status == "ok":
        return NONE
    images, (_, ends, _) = images_to_pay_off(one, baseline), speedup(baseline, one)
    if not images:
        return NONE if images == 0 else "never"
    return f"{images} images{', inside the noise' if ends and ends[0] <= 1 <= ends[1] else ''}"


def work(found: Findings, shown: list[tuple[str, Record]]) -> Table | None:
    """A row a trial: FLOPs and bytes of a call, how near to the ceilings that is, energy."""
    rows = []
    for label, one in shown:
        cells = [
            _of(one.cost.get("flops"), 1e-9, "G"),
            _of(cost.flops_per_s(one), 1e-9, "G/s", cost.flops_utilisation(one)),
        ]
        cells += [_of(one.cost.get("moved_bytes_estimate"), 1e-9, "GB"), _of(cost.bandwidth_utilisation(one), 100, "%")]
        rows.append([label, *cells, _of(cost.energy_per_image(one), 1, "J"), one.cost.get("reason") or NONE])
    header = (
        "trial",
        "FLOPs",
        "FLOP/s",
        "bytes moved (estimate)",
        "of a copy's speed",
        "energy an image",
        "not counted",
    )
    return _table(found, header, rows, COST)


def _of(value: float | None, factor: float, unit: str, share: float | None = None) -> str:
    if value is None:
        return NONE
    return f"{digits(value * factor)} {unit}" + ("" if share is None else f" ({share:.0%})")
