"""Collect garbage and give cached device memory back after each call."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle, one_of


def apply(build: Build, value: str) -> None:
    if value == "each_call":
        gc.unfreeze()  # a service's collections go through the libraries' objects, too
        build.around_call.append(lambda: _clearing(build))


@contextlib.contextmanager
def _clearing(build: Build) -> Iterator[None]:
    import torch

    yield
    start = time.perf_counter()
    gc.collect()
    if build.device == "cuda":
        torch.cuda.empty_cache()
    build.call.setdefault("clearings_s", []).append(time.perf_counter() - start)


def observe(build: Build, value: str) -> Seen:
    took = build.call.get("clearings_s", [])
    cleared = "gc.collect()" + (" and torch.cuda.empty_cache()" if build.device == "cuda" else "; no device cache here")
    how = f"{cleared} after {len(took)} calls, {sum(took) / len(took):.3f} s each" if took else "nothing was cleared"
    return Seen("each_call" if took else "never", how)


def code(value: str, settings: Settings, pipeline: Pipeline) -> Code:
    if value == "never":
        return Code()
    if settings["device"] == "cpu":
        return Code(after="gc.collect()", imports=("import gc",))
    return Code(after="gc.collect()\ntorch.cuda.empty_cache()", imports=("import gc", "import torch"))


CACHE_CLEARING = Toggle(
    name="cache_clearing",
    phase=Phase.CALL,
    values="never | each_call",
    default="never",
    parse=one_of("never", "each_call"),
    apply=apply,
    observe=observe,
    cost="none",
    about="Garbage collection, and on a GPU the return of cached memory, after each call; timed with it.\n"
    "Other processes then find the memory free, and the next call has to ask for it again.",
    source="Speed Optimizations Guide, 6 'Cache Clearing'; docs: torch, 'torch.cuda.empty_cache'",
    tolerance=0.0,
    code=code,
)
