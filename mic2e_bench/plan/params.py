"""A params file becomes a study: a list of fully resolved trials. All validation of what a person wrote is here.

A file may hold several studies, YAML documents with a line ``---`` between them.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mic2e_bench import files, paths, schema
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import sources, tokenizers
from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.documents import named
from mic2e_bench.errors import BadInput, unknown
from mic2e_bench.plan import ablate, conflicts, inputs, presets, protocol
from mic2e_bench.plan.settings import check, resolve, words
from mic2e_bench.plan.trial import Trial
from mic2e_bench.units import change_key

CHOICES = ("vary", "trials", "presets", "ablate")  # the ways to say what is measured beside the baseline
KEYS = ("study", "pipeline", "model", "inputs", "baseline", *CHOICES, "protocol", "metrics", "hardware")
OTHERS = {"space": "mic2e-bench tune", "kind": "mic2e-bench throughput"}  # keys of other commands' files
MOST_TRIALS = 5_000  # of the studies of one file
METRICS = {"masks": ("iou",), "images": ("lpips", "ssim", "psnr")}  # by what the pipeline makes


@dataclass(frozen=True)
class Study:
    """A resolved params file. ``refused`` maps the ids of trials that cannot be built to the reason."""

    name: str
    pipeline: Pipeline
    baseline: Trial
    trials: tuple[Trial, ...]
    metrics: tuple[str, ...]
    varied: tuple[str, ...]
    refused: Mapping[str, str]
    params: Mapping[str, Any]  # as written, changes applied: a notebook gets the same study from it
    remarks: tuple[str, ...] = ()  # what of it is not read or has no row, where it can be said without the weights


def read(path: str | Path, changes: tuple[str, ...] = ()) -> Study:
    """Read a params file of one study, apply ``key=value`` changes and resolve it. Raises ``BadInput``."""
    return resolve_study(content(path, changes), str(path))


def read_all(path: str | Path, changes: tuple[str, ...] = ()) -> list[Study]:
    """Every study of a params file, each with the ``key=value`` changes. Raises ``BadInput``."""
    documents, found = _documents(path, changes), {}
    for number, document in enumerate(documents, 1):
        where = f"{path}, study {number}" if len(documents) > 1 else str(path)
        study = resolve_study(document, where)
        if study.name in found:
            raise BadInput(f"{where}: another study of this file is named '{study.name}' too; give 'study: NAME'.")
        found[study.name] = study
        if (count := sum(len(one.trials) for one in found.values())) > MOST_TRIALS:
            raise BadInput(f"{path}: its studies have {count:,} trials together; the most is {MOST_TRIALS:,}.")
    return list(found.values())


def content(path: str | Path, changes: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a params file of one study says, with ``key=value`` changes, unresolved. Raises ``BadInput``."""
    documents = _documents(path, changes)
    if len(documents) > 1:
        raise BadInput(
            f"{path}: it holds {len(documents)} studies, and one is wanted here: put it in a file of its own. "
            "Files of several are for plan, run, report, mincard and recommend."
        )
    return documents[0]


def _documents(path: str | Path, changes: tuple[str, ...]) -> list[dict[str, Any]]:
    """The mappings that a params file holds, at least one; what is empty between two ``---`` is none."""
    path = paths.expanded(path)
    if not os.path.exists(path):
        near = ", ".join(sorted(str(p) for p in path.parent.glob("*.yaml"))[:20]) or "no params files there"
        raise BadInput(f"{path}: no such params file. In its folder: {near}.")
    documents = [document for document in files.read_documents(path) if document is not None]
    if not documents or not all(isinstance(document, dict) for document in documents):
        raise BadInput(f"{path}: a params file maps keys to values. Keys: {', '.join(KEYS)}.")
    for document, change in itertools.product(documents, changes):
        change_key(document, change)
    return documents


def resolve_study(params: Mapping[str, Any], where: str = "params") -> Study:
    """Resolve the content of a params file. ``where`` names it in messages. Raises ``BadInput``."""
    given, params = params, {key: value for key, value in params.items() if value is not None}
    if strange := schema.not_plain(params):
        raise BadInput(f"{where}: {strange} is no text, number, true or false, list or mapping.")
    for key in given:
        if key in OTHERS and key in params:
            raise BadInput(f"{where}: '{key}:' is for {OTHERS[key]}; here give one of {', '.join(CHOICES)}.")
        if key not in (*KEYS, *OTHERS):
            raise unknown("key", key, KEYS, where)
    if "pipeline" not in params:
        raise BadInput(f"{where}: 'pipeline' is missing. Known: {', '.join(registry.pipelines())}.")
    pipeline = registry.pipeline(str(params["pipeline"]), f"{where}: pipeline")
    measured = protocol.resolve(params.get("protocol", {}), where)
    base = {name: measured[name] for name in protocol.VARIED}
    base |= _settings(params.get("baseline", {}), pipeline, f"{where}: baseline")
    points = _points(params, base, pipeline, where)
    varied = tuple(dict.fromkeys(key for _, point in points for key in point))
    name = _name(params.get("study"), pipeline, ("ablation",) if "ablate" in params else varied, where)
    shared = {
        "pipeline": pipeline.name,
        "model": sources.resolve(params.get("model", "bundled"), pipeline, where),
        "inputs": inputs.find(params.get("inputs", "bundled"), pipeline, where),
        "protocol": measured,
    }
    name_of_baseline = params["baseline"] if isinstance(params.get("baseline"), str) else "baseline"
    settings = resolve(base, pipeline, f"{where}: baseline")
    baseline = replace(Trial.of(name, name_of_baseline, {**shared, "settings": settings}), is_baseline=True)
    trials, same = {baseline.id: baseline}, []
    for label, point in points:
        trial = Trial.of(name, label, {**shared, "settings": {**settings, **point}})  # points are checked
        first = trials.setdefault(trial.id, trial)
        if first is not trial and ("trials" in params or "presets" in params):
            same.append(f"{trial.label} has the settings of {first.label}: one row is both")
    refused = {id: reason for id, trial in trials.items() if (reason := conflicts.find(trial.settings, pipeline))}
    tokens = tokenizers.of_model(shared["model"], pipeline)
    remarks = inputs.remarks(shared["inputs"], pipeline, [trial.settings for trial in trials.values()], tokens)
    return Study(
        name, pipeline, baseline, tuple(trials.values()), _metrics(params, pipeline, where), varied, refused, params,
        (*remarks, *same),
    )  # fmt: skip


def _points(
    params: Mapping[str, Any], base: Mapping[str, Any], pipeline: Pipeline, where: str
) -> list[tuple[str, dict[str, Any]]]:
    """The points to measure beside the baseline, with labels, of whichever of ``CHOICES`` is given."""
    given = [key for key in CHOICES if key in params]
    if len(given) > 1:
        raise BadInput(f"{where}: give one of {', '.join(CHOICES)}, not {' and '.join(given)}.")
    if not given:
        return []
    value, place = params[given[0]], f"{where}: {given[0]}"
    if given[0] == "ablate":
        return ablate.points(value, resolve(base, pipeline, f"{where}: baseline"), pipeline, place)
    if given[0] == "vary":
        if not isinstance(value, dict) or not value or not all(isinstance(v, list) and v for v in value.values()):
            raise BadInput(f"{place}: write setting: [value, ...], with at least one value each; given: {value!r}.")
        if (count := math.prod(map(len, value.values()))) > MOST_TRIALS:
            raise BadInput(f"{place}: the product of these lists is {count:,} trials; the most is {MOST_TRIALS:,}.")
        checked = {key: [check(key, v, pipeline, place) for v in values] for key, values in value.items()}
        for key, values in checked.items():
            protocol.no_repeats(values, f"{place}: {key}")
        rows = [dict(zip(checked, row, strict=True)) for row in itertools.product(*checked.values())]
        return [(words(row), row) for row in rows]
    if not isinstance(value, list) or not value:
        raise BadInput(f"{place}: write a list with at least one entry; given: {value!r}.")
    if given[0] == "presets":
        protocol.no_repeats(value, place)
        return [(named(name, place), presets.settings_of(name, pipeline, place)) for name in value]
    rows = [_row(row, index, pipeline, f"{place}[{index}]") for index, row in enumerate(value)]
    for each in zip(*rows, strict=True):  # the labels, the settings
        protocol.no_repeats(each, place)
    return rows


def _row(row: Any, index: int, pipeline: Pipeline, where: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(row, dict):
        raise BadInput(f"{where}: write a mapping of settings; given: {row!r}.")
    point = {key: check(key, value, pipeline, where) for key, value in row.items() if key != "label"}
    label = row.get("label")
    return (named(label, f"{where}: label") if label else words(point) or f"trial {index}"), point


def _settings(value: Any, pipeline: Pipeline, where: str) -> dict[str, Any]:
    """The baseline: a mapping of settings, or the name of a preset."""
    if isinstance(value, str):
        return presets.settings_of(value, pipeline, where)
    if not isinstance(value, dict):
        raise BadInput(f"{where}: write a mapping of settings or the name of a preset; given: {value!r}.")
    return value


def _name(given: Any, pipeline: Pipeline, varied: tuple[str, ...], where: str) -> str:
    """The study's name, which is its folder under results; by default what is varied on which pipeline."""
    name = named(given, f"{where}: study") if given is not None else "-".join((pipeline.name, *varied))
    if name == paths.EVIDENCE:
        raise BadInput(f"{where}: study: '{name}' is the folder of the records that are kept; use another name.")
    if not paths.is_name(name):
        raise BadInput(f"{where}: study: '{name}' is no folder name: use letters, digits, '-', '_' and '.'.")
    return name


def _metrics(params: Mapping[str, Any], pipeline: Pipeline, where: str) -> tuple[str, ...]:
    made = "masks" if pipeline.task == "segmentation" else "images"
    given = params.get("metrics", list(METRICS[made]))
    if not isinstance(given, list):
        raise BadInput(f"{where}: metrics: write a list of names; given: {given!r}.")
    protocol.no_repeats(given, f"{where}: metrics")
    fitting = {name for name, metric in registry.metrics().items() if metric.of == made}
    for name in given:
        if not isinstance(name, str) or name not in fitting:
            raise unknown(f"metric of {made}", name, fitting, f"{where}: metrics")
    return tuple(given)
