"""Measure one trial on a live build: the warm-up, the time pass, the memory pass and the images."""

from __future__ import annotations

import hashlib
import io
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from PIL import Image

from mic2e_bench import inputs, probes, record
from mic2e_bench.build import Build
from mic2e_bench.trial import Trial
from mic2e_bench.witness import watch

Tell = Callable[[str, float], None]


def measure(
    build: Build, trial: Trial, images: Path, tell: Tell, timed: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The parts of a record: ``timing``, ``memory``, ``images``.

    The order: a first call, on record as such and witnessed by nobody; the rest of the warm-up; the timed repeats;
    then, on every input and seed, one call for memory and the image; the first of them has the witness. Time and memory
    never share a call. ``tell(stage, share)`` reports progress, never from inside a timed call. ``timed`` are the
    samples of a time pass that was made elsewhere.
    """
    items = inputs.read(trial.inputs)
    protocol = trial.protocol
    seeds = protocol["seeds"]
    timed_calls = 0 if timed else protocol["warmup"] + protocol["repeats"]
    total, calls = timed_calls + len(items) * len(seeds), 0

    def next_call(stage: str) -> None:
        nonlocal calls
        tell(stage, calls / total)
        calls += 1

    timed = timed or time_pass(build, items[0], protocol, next_call)
    shots = Shots(build, images)
    for item in items:
        for seed in seeds:
            next_call(f"image {item.name} seed {seed}")
            shots.take(item, seed)
    # the repeats had the first input and seed: their last picture tells how far two runs of one setting differ
    for stored, picture in zip(shots.images, build.latest, strict=False):
        stored["again"] = store(picture, images)
    samples = timed["warmup_s"] + timed["latency_s"]
    return {
        "timing": {
            **timed,
            "first_call_s": samples[0],
            "calls_s": sum(samples) + shots.calls_s,
            "step_s": shots.step_s,
            "component_s": shots.component_s,
        },
        "memory": shots.memory,
        "images": shots.images,
    }


def time_pass(
    build: Build, item: inputs.Item, protocol: Mapping[str, Any], next_call: Callable[[str], None]
) -> dict[str, list[float]]:
    """The warm-up and the repeats, one after the other on one input with one seed, in seconds."""
    samples: dict[str, list[float]] = {"warmup_s": [], "latency_s": []}
    for kind, name, count in (("warmup_s", "warm-up", "warmup"), ("latency_s", "repeat", "repeats")):
        for index in range(protocol[count]):
            next_call(f"{name} {index + 1}/{protocol[count]}")
            samples[kind].append(timed_call(build, item, protocol["seeds"][0]))
    return samples


def timed_call(build: Build, item: inputs.Item, seed: int) -> float:
    """Seconds of one call, as a user waits for it: resizing, pipeline, decoding, resizing back."""
    with probes.clock(build.device) as elapsed, build.around():
        build.latest = build.pipeline.call(build, item, seed)
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
            build.witness.guidance.append(float(pipe.guidance_scale))
            return tensors

        build.on_step.insert(0, on_step)  # before a callback that changes something
        with watch(build.witness, build.modules(), build.pipeline.denoiser, sync):
            yield
        build.on_step.remove(on_step)
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
