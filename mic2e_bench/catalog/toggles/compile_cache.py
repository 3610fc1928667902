"""Where Inductor keeps what it compiled: a cold or a warm compilation."""

from __future__ import annotations

import os

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle, one_of
from mic2e_bench.catalog.toggles.backends import compiling


def apply(build: Build, value: str) -> None:
    compiling.arrange(build, cache=value)


def observe(build: Build, value: str) -> Seen:
    """The folder that Inductor reads from its environment, and what it found there."""
    if not compiling.compiled_modules(build.denoiser.modules()):
        return Seen(value, "nothing is compiled", applied=True)
    folder = os.environ.get("TORCHINDUCTOR_CACHE_DIR", "")
    trial = compiling.of_trial(build)
    how = f"Inductor's cache folder is {folder}; {trial.hits} hits, {trial.misses} misses in this trial"
    return Seen("fresh" if folder.endswith(f"/{os.getpid()}") else "kept", how)


def code(value: str, settings: Settings, pipeline: Pipeline) -> Code:
    if value == "fresh" or settings["compile"] == "none":
        return Code()
    return Code(lines="# compile_cache kept: Inductor's default, a folder that processes share")


CACHE = Toggle(
    name="compile_cache",
    phase=Phase.COMPILE,
    values="fresh | kept",
    default="fresh",
    parse=one_of("fresh", "kept"),
    apply=apply,
    observe=observe,
    cost="none",
    about="fresh: an empty folder for each build, so compiling is measured cold, as after a change of version.\n"
    "kept: a folder that all builds share, so what was compiled once is read: a warm start of a service.",
    source="docs: torch, 'Compile time caching'",
    tolerance=0.0,
    code=code,
)
