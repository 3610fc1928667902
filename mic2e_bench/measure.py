"""Measure one trial on a live build: the warm-up, the time pass, the memory pass and the images."""

from __future__ import annotations

import hashlib
import io
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from PIL import Image

from mic2e_bench import inputs, probes, record
from mic2e_bench.build import Build
from mic2e_bench.trial import Trial
from mic2e_bench.witness import watch


def measure(build: Build, trial: Trial, images: Path, tell: Callable[[str, float], None]) -> dict[str, Any]:
    """The parts of a record: ``timing``, ``memory``, ``images``.

    The order: a first call, on record as such and witnessed by nobody; the rest of the warm-up; the timed repeats;
    then, on every input and seed, one call for memory and the image; the first of them has the witness. Time and memory
    never share a call. ``tell(stage, share)`` reports progress, never from inside a timed call.
    """
    items = inputs.read(trial.inputs)
    protocol = trial.protocol
    seeds = protocol["seeds"]
    total = protocol["warmup"] + protocol["repeats"] + len(items) * len(seeds)
    calls = 0

    def next_call(stage: str) -> None:
        nonlocal calls
        tell(stage, calls / total)
        calls += 1

    warmup = []
    for index in range(protocol["warmup"]):
        next_call(f"warm-up {index + 1}/{protocol['warmup']}")
        warmup.append(_timed(build, items[0], seeds[0]))
    latency = []
    for index in range(protocol["repeats"]):
        next_call(f"repeat {index + 1}/{protocol['repeats']}")
        latency.append(_timed(build, items[0], seeds[0]))
    shots = Shots(build, images)
    for item in items:
        for seed in seeds:
            next_call(f"image {item.name} seed {seed}")
            shots.take(item, seed)
    first = (warmup or latency)[0]
    return {
        "timing": {
            "first_call_s": first,
            "warmup_s": warmup,
            "latency_s": latency,
            "calls_s": sum(warmup) + sum(latency) + shots.calls_s,
            "step_s": shots.step_s,
            "component_s": shots.component_s,
        },
        "memory": shots.memory,
        "images": shots.images,
    }


def _timed(build: Build, item: inputs.Item, seed: int) -> float:
    """Seconds of one call, as a user waits for it: resizing, pipeline, decoding, resizing back."""
    with build.around(), probes.clock(build.device) as elapsed:
        build.pipeline.call(build, item, seed)
    return elapsed.seconds


class Shots:
    """The memory pass: one call for each input and seed, with peaks, and on the first one a witness."""

    def __init__(self, build: Build, folder: Path) -> None:
        self.build, self.folder = build, folder
        self.images: list[dict[str, Any]] = []
        self.memory: dict[str, int | None] = {}
        self.calls_s = 0.0
        self.step_s: list[float] = []
        self.component_s: dict[str, list[float]] = {}

    def take(self, item: inputs.Item, seed: int) -> None:
        """One call: its peaks raise the trial's, its images are stored; the first call has a witness as well."""
        first = not self.images
        build, witness = self.build, self._witness() if first else nullcontext()
        with build.around(), witness, probes.memory(build.device) as peaks, probes.clock(build.device) as elapsed:
            pictures = build.pipeline.call(build, item, seed)
        self.calls_s += elapsed.seconds
        for name in ("rss_bytes", "vram_allocated_bytes", "vram_reserved_bytes"):
            self._raise(f"peak_{name}", getattr(peaks, name))
        self._raise("peak_device_bytes", peaks.device_bytes)
        if first:
            self.memory["rss_before_call_bytes"] = peaks.rss_before_bytes
        for index, picture in enumerate(pictures):
            stored = {"input": item.name, "seed": seed, **store(picture, self.folder)}
            self.images.append(stored if len(pictures) == 1 else {**stored, "index": index})

    def _raise(self, name: str, value: int | None) -> None:
        if value is not None:
            self.memory[name] = max(value, self.memory.get(name) or 0)

    @contextmanager
    def _witness(self) -> Iterator[None]:
        """See what is in force and where the time goes; a mark at the end of every step."""
        build, marks = self.build, []
        sync = probes.synchroniser(build.device)

        def on_step(pipe: Any, step: int, timestep: Any, tensors: dict) -> dict:
            sync()
            marks.append(time.perf_counter())
            return tensors

        build.on_step = on_step
        with watch(build.witness, build.modules(), build.pipeline.denoiser, sync):
            yield
        build.on_step = None
        # what comes before the first mark is preparation and the first step together: no step's time
        self.step_s = [after - before for before, after in itertools.pairwise(marks)]
        self.component_s = build.witness.component_s
        build.witness.steps = len(marks)


def store(picture: Image.Image, folder: Path) -> dict[str, str]:
    """Store an image under the hash of its pixels; an existing file of that name is that image."""
    content = io.BytesIO()
    picture.save(content, format="PNG", compress_level=1)
    sha256 = hashlib.sha256(content.getvalue()).hexdigest()
    path = folder / f"{sha256[:20]}.png"
    if not path.exists():
        record.write_whole(path, content.getvalue())
    return {"file": f"images/{path.name}", "sha256": sha256}
