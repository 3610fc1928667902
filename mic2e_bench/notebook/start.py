"""The start page: what this machine can do, every study with its state, and the widgets."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from IPython.display import HTML

from mic2e_bench.notebook import front_end
from mic2e_bench.notebook.bench import bench
from mic2e_bench.notebook.places import results_of
from mic2e_bench.report.tabular import Linked, Table
from mic2e_bench.tools.doctor import doctor
from mic2e_bench.tools.doctor.libraries import CHECKS
from mic2e_bench.tools.lab import studies as lab_studies
from mic2e_bench.units import write

EXAMPLE = {"pipeline": "objectclear", "vary": {"steps": [4, 8, 12]}}


def machine() -> HTML:
    """Device, memory, disk and libraries, at once: nothing is imported. ``mic2e-bench doctor`` calls each library."""
    found = doctor.examine(call_libraries=False)
    where, store, one = found["trials_on"], found["storage"], found["cpu"]
    why = f": {where['problem']}" if where["problem"] else ""
    state = "can be written" if store["writable"] else f"CANNOT be written: {store['reason']}"
    rows = [
        ("trials run on", f"{where['device']}{why}"),
        ("CPU", f"{one['model']}, {one['usable_threads']} threads"),
        *(("GPU", f"{gpu['name']}, {_free(gpu['memory_bytes'], gpu['memory_free_bytes'])}") for gpu in found["gpus"]),
        ("memory", _free(store["ram_total_bytes"], store["ram_free_bytes"])),
        ("results folder", f"{store['results']}, {state}, {write(store['disk_free_bytes'], 'B')} of disk free"),
        ("libraries", ", ".join(filter(None, map(_version, CHECKS)))),
        ("published weights", _cached(found["hub"]["models"])),
    ]
    caption = "The libraries are named, not called. To call each: mic2e-bench doctor (half a minute)."
    return HTML(Table(("what", "here"), rows, caption, left=(0, 1)).html())


def _free(total: int, free: int) -> str:
    return f"{write(total, 'B')}, {write(free, 'B')} free"


def _version(name: str) -> str:
    try:
        return f"{name} {metadata.version('torch')}" if name == "inductor" else f"{name} {metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return ""


def _cached(models: dict[str, str]) -> str:
    there = [name for name, state in models.items() if state == "yes"]
    return f"in the cache: {', '.join(there)}" if there else "none in the cache: the bundled stand-in models are used"


def studies(results: str | None = None) -> HTML:
    """Every params file with the state of its studies; a file opens in place."""
    rows = []
    for one in lab_studies.states(results_of(results)):
        file = Linked.to(one.file, [f"../{one.file}"])
        counts = ("–", "–", "–") if one.problem else (str(one.planned), str(one.measured), str(one.failed))
        rows.append((one.name, file, one.pipeline, *counts, one.problem))
    header = ("study", "params file", "pipeline", "planned", "measured", "failed", "")
    caption = "Measure one: mic2e-bench run FILE. See it: mic2e-bench report FILE."
    return HTML(Table(header, rows, caption, left=(0, 1, 2, 6)).html())


def panel(results: str | None = None) -> Any:
    """The widgets that plan and measure a study; nothing where nobody can use them."""
    if not front_end.is_there():
        return None
    from mic2e_bench.notebook.widgets import Panel

    return Panel(bench("vary", EXAMPLE, results)).view
