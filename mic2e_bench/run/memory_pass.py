"""The memory pass: a call for each input and seed, with its peaks and its picture; on the first one a witness."""

from __future__ import annotations

import hashlib
import io
import itertools
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from PIL import Image

from mic2e_bench import files
from mic2e_bench.catalog import painted, rounding, watch
from mic2e_bench.catalog.kernels import can_count, count_kernels
from mic2e_bench.catalog.pipeline import Build, Item
from mic2e_bench.machine import probes

STEPS_COUNTED = 4  # one is too few for an image-to-image call whose strength is below 1


class Shots:
    """What the calls of the memory pass left: ``images``, ``memory`` and ``timing``."""

    def __init__(self, build: Build, folder: Path) -> None:
        self.build, self.folder = build, folder
        self.images: list[dict[str, Any]] = []
        self.memory, self.timing, self.calls_s = {}, {}, 0.0

    def take(self, item: Item, seed: int, kernels: bool = True) -> None:
        """One call: its peaks raise the trial's, its images are stored; the first call has a witness as well.

        ``kernels``: whether this call counts the attention kernels, which makes it slow.
        """
        first, build = not self.images, self.build
        counting = count_kernels(build.witness, build.denoiser) if kernels else nullcontext()
        with (
            painted.kept(build) as made,
            build.around(),
            counting,
            probes.memory(build.device, phase="encode") as peaks,
            self._witness(peaks) if first else nullcontext(),
            probes.clock(build.device) as elapsed,
        ):
            pictures = build.pipeline.call(build, item, seed)
        self.calls_s += elapsed.seconds
        for name in probes.PEAKS:
            if (peak := getattr(peaks, name)) is not None:
                self.memory[f"peak_{name}"] = max(peak, self.memory.get(f"peak_{name}", 0))
        if first:
            self.memory |= {"rss_before_call_bytes": peaks.rss_before_bytes, "phases": peaks.phases}
            self.memory |= probes.device_total(build.device)
            self.timing["witnessed_s"] = elapsed.seconds
        lines, faults = painted.faults(build, item, seed, made, pictures)
        build.faults += lines
        for index, (picture, fault) in enumerate(zip(pictures, faults, strict=True)):
            stored = {"input": item.name, "seed": seed, **store(picture, self.folder)}
            stored |= {"fault": fault} if fault else {}
            self.images.append(stored if len(pictures) == 1 else {**stored, "index": index})

    def count_kernels(self, item: Item, seed: int) -> None:
        """A call of its own for the count of kernels, where they can be counted; few steps do, as one is looked at."""
        build = self.build
        if can_count(build.denoiser):
            counting = count_kernels(build.witness, build.denoiser)
            with build.around(), build.shortened(STEPS_COUNTED), counting, probes.clock(build.device) as elapsed:
                build.pipeline.call(build, item, seed)
            self.calls_s += elapsed.seconds

    def round(self, item: Item, seed: int) -> None:
        """The first image again with nothing but its rounding changed, into its ``floor``.

        A kind that cannot be had lacks there, and the log says why: that is no failure of the trial.
        """
        build, floor = self.build, self.images[0].setdefault("floor", {})
        with probes.clock(build.device) as elapsed, build.around():
            for name, call in rounding.calls(build, item, seed).items():
                try:
                    picture = call()
                except Exception:
                    traceback.print_exc(file=sys.stderr)
                else:
                    if not any(painted.faults(build, item, seed, [], [picture])[1]):
                        floor[name] = store(picture, self.folder)
        self.calls_s += elapsed.seconds

    @contextmanager
    def _witness(self, peaks: probes.Peaks) -> Iterator[None]:
        """See what is in force and where time and memory go; a mark at the end of every step."""
        build, sync = self.build, probes.synchroniser(self.build.device)
        watched = watch.watch(build.witness, build.modules(), build.pipeline.denoiser, sync, peaks.phase)
        with watch.steps(build, sync) as marks, watched:
            yield
        # what comes before the first mark is preparation and the first step together: no step's time
        self.timing["step_s"] = [after - before for before, after in itertools.pairwise(marks)]
        self.timing["component_s"] = build.witness.component_s


def store(picture: Image.Image, folder: Path) -> dict[str, str]:
    """Store an image under the hash of its pixels; an existing file of that name is that image."""
    content = io.BytesIO()
    picture.save(content, format="PNG", compress_level=1)
    sha256 = hashlib.sha256(content.getvalue()).hexdigest()
    path = folder / f"{sha256[:20]}.png"
    if not path.exists():
        files.write_whole(path, content.getvalue(), through_links=False)
    return {"file": f"images/{path.name}", "sha256": sha256}
