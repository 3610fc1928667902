"""The estimate's error against every measured record: weights always, peaks where there was a GPU."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mic2e_bench.catalog.models import sources
from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.catalog.registry import pipeline as named
from mic2e_bench.errors import BadInput
from mic2e_bench.pictures import open_picture
from mic2e_bench.plan import inputs
from mic2e_bench.records import frame, record
from mic2e_bench.records.comparable import VRAM, is_measured
from mic2e_bench.tools.fit import weight_bytes
from mic2e_bench.tools.fit.cards import workspace
from mic2e_bench.tools.fit.estimate import estimate
from mic2e_bench.tools.fit.rehearsal import made

DECIDE_WEIGHTS = ("fused_qkv", "precision", "prompt_kind", "quantize", "quantize_parts")


@dataclass(frozen=True)
class Compared:
    """One figure of one record beside its estimate, in bytes."""

    study: str
    id: str
    label: str
    model: str
    of: str
    measured: int
    estimated: int

    @property
    def error(self) -> float:
        """As a share of what was measured."""
        return self.estimated / self.measured - 1


def records(pipeline: Pipeline, results: Path) -> tuple[list[Compared], list[str]]:
    """Every measured record of a pipeline under ``results``, evidence too; why some could not be compared."""
    found, left_out = [], []
    for path in (path for folder in frame.stored(Path(results)) for path in record.paths(folder)):
        one = record.read_if_there(path)
        if not one or one.pipeline != pipeline.name or not is_measured(one):
            continue
        try:
            found += compare(one)
        except (BadInput, OSError) as problem:
            left_out.append(f"{one.study} {one.label}: {problem}")
    return found, left_out


def compare(one: record.Record) -> Iterator[Compared]:
    """The figures of one record. Raises ``BadInput`` where its weights or inputs are no longer what they were."""
    pipeline, model, settings, memory = named(one.pipeline), one.model, one.settings, one.memory
    if model["source"] == "bundled" and sources.resolve("bundled", pipeline, "fit") != dict(model):
        raise BadInput("it was measured with other bundled weights")
    same = {"study": one.study, "id": one.id, "label": one.label, "model": sources.label(model)}
    if memory["weights_bytes"]:
        decisive = json.dumps({key: settings[key] for key in DECIDE_WEIGHTS if key in settings}, sort_keys=True)
        yield Compared(
            **same, of="weights", measured=memory["weights_bytes"],
            estimated=weights(pipeline.name, json.dumps(dict(model), sort_keys=True), decisive),
        )  # fmt: skip
    if memory[VRAM]:
        wanted = estimate(pipeline, model, settings, largest(one.inputs))
        peaks = wanted.peaks(workspace(one.environment.get("device") or ""))._asdict()
        for of, value in peaks.items():
            yield Compared(**same, of=of, measured=memory[f"peak_vram_{of}_bytes"], estimated=value)
        if loading := measured_loading(one):
            yield Compared(**same, of="loading", measured=loading, estimated=wanted.loading.reserved)


def measured_loading(one: record.Record) -> int | None:
    """Bytes reserved at most while it was loaded; ``None`` where that is not what loading from files takes.

    Random weights are drawn on the device, which takes more, unless they have to begin in main memory.
    """
    asked = one.settings.get("offload", "none"), one.settings.get("quantize", "none")
    if one.model["source"] == "random" and asked == ("none", "none"):
        return None
    return ((one.memory.get("phases") or {}).get("load") or {}).get("vram_reserved_bytes")


@functools.lru_cache(maxsize=256)
def weights(name: str, model: str, settings: str) -> int:
    """Bytes of all weights; ``model`` and ``settings`` as JSON."""
    build, quantised = made(named(name), json.loads(model), json.loads(settings))
    return sum(weight_bytes.weights_bytes(build.modules(), quantised).values())


def largest(given: Mapping[str, Any]) -> tuple[int, int] | None:
    """(width, height) of the largest input image; ``None`` where the inputs have no images."""
    sizes = []
    for name, item in given["items"].items():
        if "image" in item:
            sizes.append(open_picture(inputs.answers(given, name)["image"]).size)
    return max(sizes, key=lambda size: size[0] * size[1], default=None)
