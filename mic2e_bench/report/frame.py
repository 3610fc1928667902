"""Every record under a results folder as one data frame, a row a trial. Imports no torch."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mic2e_bench import paths, within
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import sources
from mic2e_bench.records import comparable, record
from mic2e_bench.records.record import Record

if TYPE_CHECKING:
    import pandas


def load(results: Path, study: str | None = None, mixed: bool = False) -> tuple[pandas.DataFrame, list[str]]:
    """The records of all studies under ``results``, or of one; and what was left out, a line a damaged file.

    Columns: ``study id label pipeline model status reason baseline path``, one for each setting; ``latency_s`` (median)
    and the other metrics of a record by their names (s, bytes), ``first_call_s load_s``; each entry of a record's
    ``quality`` (its keys: ``run/scoring/entries.py``) as ``<key> <key>_low <key>_high`` (95 %) ``<key>_floor
    <key>_visible``; ``memory_noise_bytes`` (of the peak memory), ``disturbed`` (what went on beside it, empty where
    nothing did), ``deterministic`` (whether a repeat made the same image, ``None`` where nothing was made twice);
    ``backbone stand_in anchor problem`` (texts), ``images`` (a list of mappings).
    Raises ``BadInput`` where one study's records were measured in different environments, unless ``mixed``.
    """
    import pandas

    # pyarrow's strings, which pandas takes where it is installed, refuse half a character, and a name may have one
    pandas.set_option("mode.string_storage", "python")
    rows: list[dict[str, Any]] = []
    damaged = within.links_out(Path(results), paths.EVIDENCE)
    for folder in folders(Path(results), study):
        first = None
        for path in record.paths(folder):
            try:
                one = record.read(path)
                rows.append(row(one, str(path)))
            except FileNotFoundError:  # a run has just set it aside
                continue
            except record.Damaged as error:
                damaged.append(str(error))
            else:
                if not mixed and comparable.is_measured(one):
                    first = first or one
                    comparable.require_one((first, one))
    names = dict.fromkeys(itertools.chain(FIRST, *rows))
    return pandas.DataFrame({name: [each.get(name) for each in rows] for name in names}), damaged


FIRST = ("study", "id", "label", "pipeline", "model", "status", "reason", "baseline", "path")


def folders(results: Path, study: str | None = None) -> list[Path]:
    """The folders of all studies, or of one; nothing where there are none. What is kept as evidence is none of them."""
    if study is not None:
        folder = paths.of_study(results, study)
        return [folder] if folder.is_dir() else []
    return [path for path in _within(results) if path.name != paths.EVIDENCE]


def evidence(results: Path) -> list[tuple[Path, str]]:
    """The folders of the studies under ``results/evidence``, each with its machine's name.

    They lie there as ``<machine>/<study>``, a machine's folder being a results folder of its own, or as ``<study>``
    with no machine's name.
    """
    found = []
    for folder in _within(results / paths.EVIDENCE):
        if _is_study(folder):
            found.append((folder, ""))
        else:
            studies = (study for study in _within(folder) if study.name != paths.SERVED)
            found += [(study, folder.name) for study in studies if _is_study(study)]
    return found


def stored(results: Path) -> list[Path]:
    """The folders of all studies, then of those that are kept as evidence."""
    return [*folders(results), *(folder for folder, _ in evidence(results))]


def _is_study(folder: Path) -> bool:
    """By the names of its files: a machine's folder may hold JSON of other kinds."""
    return any(record.IDENTITY.fullmatch(path.stem) for path in record.paths(folder))


def _within(folder: Path) -> list[Path]:
    there = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in there if path.is_dir() and not within.is_outside(path, folder))


def row(one: Record, path: str) -> dict[str, Any]:
    """One record as a mapping from column to value."""
    found = {
        "study": one.study,
        "id": one.id,
        "label": one.label,
        "pipeline": one.pipeline,
        "model": sources.label(one.model),
        "status": one.status,
        "reason": one.reason,
        "baseline": comparable.is_baseline(one),
        "path": path,
        **one.settings,
        **{name: metric.compute(one) for name, metric in OF_RECORD.items()},
        "memory_noise_bytes": comparable.memory_noise(one),
        "disturbed": "; ".join(comparable.disturbed(one)),
        "deterministic": comparable.is_deterministic(one),
        "first_call_s": one.first_call_s,
        "load_s": one.load_s,
    }
    for key, entry in one.quality.items():
        low, high = entry["ci95"] or (None, None)
        found[key], found[f"{key}_low"], found[f"{key}_high"] = entry["value"], low, high
        found[f"{key}_floor"], found[f"{key}_visible"] = entry.get("floor"), entry.get("visible")
    entries = one.quality.values()
    found |= {
        "backbone": ", ".join(backbones(one)),
        "stand_in": stand_ins(one.model, backbones(one)),
        "anchor": one.quality.get("quality", {}).get("anchor", ""),
        "problem": "; ".join(dict.fromkeys(entry["problem"] for entry in entries if "problem" in entry)),
        "images": one.images,
    }
    return found


def backbones(one: Record) -> list[str]:
    """What the learned metrics among a record's scores measured with."""
    return list(dict.fromkeys(entry["backbone"] for entry in one.quality.values() if entry["backbone"]))


def stand_ins(model: Mapping[str, Any], backbones: list[str]) -> str:
    """Every stand-in behind a row, in words for a caption; empty where there is none."""
    found = [sources.label(model)] if model["source"] in ("bundled", "random") else []
    found += [f"LPIPS backbone: {backbone}" for backbone in backbones if "stand-in" in backbone]
    return "; ".join(found)


OF_RECORD = {name: metric for name, metric in registry.metrics().items() if metric.of == "record"}
