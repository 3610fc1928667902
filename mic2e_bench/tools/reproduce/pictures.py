"""The pictures of a record beside those that were made again: the first ones stand for a baseline, with their noise.

So what is said of two pictures is what a study says of a setting: the same, within what rounding does, or visible.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mic2e_bench import paths
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import sources
from mic2e_bench.errors import BadInput
from mic2e_bench.records.record import Record
from mic2e_bench.run.scoring import child, pairs
from mic2e_bench.tools.reproduce.original import Measurement

LOG = "reproduce.log"


def hashes(one: Record) -> dict[tuple[str, int], str]:
    """The hash of each picture by its input and seed."""
    return {pairs.key(image): image["sha256"] for image in one.images}


def entry(then: Measurement, now: Measurement) -> tuple[str, dict[str, Any]]:
    """The name of a metric, and what it says of the new pictures against the old (``run/scoring/entries.py``).

    Scored in a child. Where that cannot be had, its ``value`` is ``None`` and ``problem`` says why.
    """
    task = registry.pipeline(then.record.pipeline).task
    try:
        answers = pairs.known(then.record.inputs)
    except (OSError, BadInput):  # the known answers are not needed
        answers = {name: {} for name in then.record.inputs["items"]}
    noise = sources.pictures_may_lack(then.record.model)
    study = pairs.StoredStudy(then.record, task, then.folder.resolve(), answers, noise)
    # whole paths: the two lie in different folders
    images = [{**image, "file": str(now.folder.resolve() / image["file"])} for image in now.record.images]
    side = pairs.with_baseline(replace(now.record, images=images), study)
    name = "iou" if task == "segmentation" else "quality"
    try:
        (found,) = child.answers(scores, paths.cache() / "logs" / LOG, [(name, side)], "reproduce")
    except child.Died as death:
        found = {"value": None, "problem": str(death)}
    return name, found


def scores(jobs: list[tuple[str, pairs.PicturePairs]]) -> Iterator[dict[str, Any]]:
    """The entry of each metric and side, over whole pictures. For the scoring child."""
    from mic2e_bench.run.scoring import entries

    entries.forget()
    for name, side in jobs:
        yield entries.score(registry.metrics()[name], side, "")[name]


def log() -> Path:
    """Where the child says what went wrong."""
    return paths.cache() / "logs" / LOG
