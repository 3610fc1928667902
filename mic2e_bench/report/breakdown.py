"""Where time and memory go: a call by component, the peaks by phase, the start, and the work against the ceilings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mic2e_bench.catalog.metrics import components, cost, startup
from mic2e_bench.catalog.metrics.latency import quartiles
from mic2e_bench.catalog.metrics.memory import fragmentation
from mic2e_bench.catalog.metrics.paying_off import UNCLEAR, images_to_pay_off
from mic2e_bench.records.ratios import speedup
from mic2e_bench.records.record import Record
from mic2e_bench.report import captions, footnotes, record_page
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
    "up to that call.",
    "Hooks: its seconds over the median of the timed calls, which nothing watches.",
)
MEMORY = {
    "rss_bytes": ("Peak resident set size of the process in each phase, the libraries included.",),
    "vram_reserved_bytes": (
        "Peak GPU memory that PyTorch's allocator held in each phase; unused: held beyond tensors.",
    ),
}
STARTUP = (
    "What a new process waits for: importing the libraries, loading (to the device: part of it), the first call.",
    "Pays off: the number of images after which a start slower than the baseline's has been made up for.",
)
COST = (
    "FLOPs by PyTorch's own counter.",
    "Bytes moved are an estimate: weights, inputs and outputs of each layer, once.",
    "In brackets: the share of what a matrix product and a copy reached on this device in the same process.",
)


Shown = list[tuple[str, Record]]  # the trials with figures, by their labels


def all_of(found: Findings, base: str | None = None) -> list[Table]:
    """The tables for which there are figures; ``base`` as in ``tables.main``."""
    shown = [
        (
            record_page.linked(found, row["id"], row["label"] + footnotes.mark(found, row["id"]), base),
            found.records[row["id"]],
        )
        for _, row in found.trials.iterrows()
        if row["id"] in found.records and found.records[row["id"]].latency_s
    ]
    made = [time(found, shown), memory(found, shown), start(found, shown), work(found, shown)]
    return [table for table in made if table]


def _table(
    found: Findings, shown: Shown, columns: Mapping[str, Sequence[str]], reading: Sequence[str], first: str = "trial"
) -> Table | None:
    """The trials with these columns, without those that nothing is known of; ``None`` where that is all."""
    kept = {name: cells for name, cells in columns.items() if any(cell != NONE for cell in cells)}
    if not kept:
        return None
    rows = list(zip((label for label, _ in shown), *kept.values(), strict=True))
    return Table((first, *kept), rows, captions.short(found), reading=[*captions.stand_ins(found), *reading])


def _scaled(name: str, columns: Sequence[Sequence[Any]]) -> tuple[str, list[list[str]]]:
    """Columns of numbers in one unit, which is returned with them."""
    factor, unit = scale(name, [value for column in columns for value in column])
    return unit, [[NONE if missing(value) else digits(value * factor) for value in column] for column in columns]


def time(found: Findings, shown: Shown) -> Table | None:
    """A row a trial: seconds by component."""
    of = {metric.name: metric.compute for metric in vars(components).values() if hasattr(metric, "compute")}
    columns = [[one.witnessed_s for _, one in shown]]
    columns += [[of[name](one) if one.witnessed_s else None for _, one in shown] for name in PARTS.values()]
    unit, cells = _scaled("latency_s", columns)
    made = dict(zip((f"call ({unit})", *PARTS), cells, strict=True))
    made["hooks (×)"] = [digits(components.hooks_cost(one)) for _, one in shown]
    return _table(found, shown, made, TIME)


def memory(found: Findings, shown: Shown) -> Table | None:
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
    made = dict(zip((*phases, "before loading", "weights", "unused"), cells, strict=True))
    return _table(found, shown, made, MEMORY[name], f"trial (peaks in {unit})")


def start(found: Findings, shown: Shown) -> Table | None:
    """A row a trial: what comes before the first image, and when it has paid off."""
    baseline = found.records.get(found.baseline["id"])
    seconds = {
        "import": lambda one: one.import_s,
        "load": lambda one: one.load_s,
        "to the device": lambda one: one.place_s,
        "first call": lambda one: one.first_call_s,
        "first image": startup.time_to_first_image,
        "later calls": lambda one: quartiles(one.latency_s)[1],
    }
    columns = {name: [_of(read(one), 1, "s") for _, one in shown] for name, read in seconds.items()}
    columns["pays off after"] = [_pays(one, baseline) for _, one in shown]
    return _table(found, shown, columns, STARTUP)


def _pays(one: Record, baseline: Record | None) -> str:
    if baseline is None or one.id == baseline.id or not one.status == baseline.status == "ok":
        return NONE
    images = images_to_pay_off(one, baseline)
    if images == 0:
        return NONE
    if not speedup(baseline, one).is_clear:
        return UNCLEAR
    return "never" if images is None else f"{images} images"


def work(found: Findings, shown: Shown) -> Table | None:
    """A row a trial: FLOPs and bytes of a call, how near to the ceilings that is, energy."""
    cells = {
        "FLOPs": lambda one: _of(one.cost.get("flops"), 1e-9, "G"),
        "FLOP/s": lambda one: _of(cost.flops_per_s(one), 1e-9, "G/s", cost.flops_utilisation(one)),
        "bytes moved (estimate)": lambda one: _of(one.cost.get("moved_bytes_estimate"), 1e-9, "GB"),
        "of copy speed": lambda one: _of(cost.bandwidth_utilisation(one), 100, "%"),
        "energy an image": lambda one: _of(cost.energy_per_image(one), 1, "J"),
        "not counted": lambda one: one.cost.get("reason") or NONE,
    }
    return _table(found, shown, {name: [cell(one) for _, one in shown] for name, cell in cells.items()}, COST)


def _of(value: float | None, factor: float, unit: str, share: float | None = None) -> str:
    if missing(value):
        return NONE
    return f"{digits(value * factor)} {unit}" + ("" if share is None else f" ({share:.0%})")
