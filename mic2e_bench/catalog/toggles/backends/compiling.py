"""torch.compile on the denoiser, in place, and what Dynamo and Inductor say that they did.

Four settings share one call of ``compile``; each puts its own into ``build.notes["compile"]`` and calls ``arrange``,
which arranges everything anew. So they commute, and nothing is compiled before the first call.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mic2e_bench import paths
from mic2e_bench.catalog.pipeline import Build

BACKEND = "inductor"


def arrange(build: Build, **chosen: Any) -> None:
    """Have the denoiser, or its repeated blocks, compiled at the next call, with what was chosen so far."""
    notes = build.notes.setdefault("compile", {})
    notes.update(chosen)
    mode = notes.get("mode", "none")
    if mode == "none":
        return
    notes.setdefault("so_far", _so_far())
    if "prepared" not in notes:
        notes["prepared"] = _watched()
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache_folder(paths.cache() / "inductor", notes.get("cache", "fresh"))
    arguments = {"fullgraph": notes.get("fullgraph", False), "dynamic": notes.get("dynamic"), "backend": BACKEND}
    if mode == "regional":
        build.denoiser.compile_repeated_blocks(**arguments)
    else:
        # in place: torch.compile(module) would wrap it, and its keys would be saved with a prefix
        build.denoiser.compile(mode=None if mode == "default" else mode, **arguments)


def _watched() -> Counter:
    """Counts, from now on, by what caused it, each time this process compiles, autotunes or records a CUDA graph."""
    from torch._dynamo import on_compile_start

    counts: Counter = Counter()
    on_compile_start(lambda args: counts.update([args.callback_trigger.name]))
    return counts


def prepared(build: Build) -> int | None:
    """How often this build's calls compiled or recorded something so far; ``None`` where nothing is to be compiled."""
    counts = build.notes.get("compile", {}).get("prepared")
    return None if counts is None else counts.total()


def recorded_graphs(build: Build) -> int:
    """How many CUDA graphs this build's calls have recorded."""
    return build.notes["compile"]["prepared"]["CUDAGRAPH_RECORDING"]


@dataclass
class Compiled:
    """What one trial compiled, and what the Inductor cache gave it."""

    graphs: int = 0
    breaks: Counter = field(default_factory=Counter)
    recompilations: list[str] = field(default_factory=list)  # the reasons
    cudagraphs_skipped: int = 0
    hits: int = 0
    misses: int = 0

    def text(self) -> str:
        """In words, for a receipt."""
        parts = [f"{self.graphs} graphs compiled, {self.breaks.total()} graph breaks"]
        parts += [f"{count}x {reason}" for reason, count in self.breaks.most_common(2)]
        parts.append(f"{len(self.recompilations)} recompilations")
        parts += [f"first because {self.recompilations[0]}"] if self.recompilations else []
        if self.hits or self.misses:
            state = "cold" if not self.hits else "warm" if not self.misses else "partly warm"
            parts.append(f"Inductor cache {state}: {self.hits} hits, {self.misses} misses")
        return "; ".join(parts)


def of_trial(build: Build) -> Compiled:
    """What was compiled since the last trial of this build (each toggle that asks in one trial gets the same)."""
    notes = build.notes.setdefault("compile", {})
    if notes.get("witness") is not build.witness:
        now = _so_far()
        notes["trial"], notes["so_far"] = _since(now, notes.get("so_far", {})), now
        notes["witness"] = build.witness
    return notes["trial"]


def _so_far() -> dict[str, Counter]:
    """Dynamo's and Inductor's counters of this process; empty where nothing was compiled."""
    if "torch._dynamo" not in sys.modules:
        return {}
    from torch._dynamo import utils

    found = {name: Counter(values) for name, values in utils.counters.items()}
    found["recompilations"] = Counter(
        # the guard that failed; its line in the source is behind a '#'
        (metric.recompile_reason or "").splitlines()[-1].partition(" # ")[0].strip()[:200]
        for metric in utils.get_compilation_metrics()
        if metric.recompile_reason
    )
    return found


def _since(now: dict[str, Counter], before: dict[str, Counter]) -> Compiled:
    new = defaultdict(Counter, {name: values - before.get(name, Counter()) for name, values in now.items()})
    return Compiled(
        graphs=new["stats"]["unique_graphs"],
        breaks=Counter({_line(reason): count for reason, count in new["graph_break"].items()}),
        recompilations=list(new["recompilations"].elements()),
        cudagraphs_skipped=new["inductor"]["cudagraph_skips"],
        # a hit of the outer cache never asks the inner one
        hits=new["aot_autograd"]["autograd_cache_hit"] + new["inductor"]["fxgraph_cache_hit"],
        misses=new["inductor"]["fxgraph_cache_miss"],
    )


def _line(reason: str) -> str:
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    return " ".join(lines[:2])[:160]


def compiled_modules(modules: Iterable[Any]) -> list[Any]:
    """The modules that go through torch.compile in place."""
    return [module for module in modules if module._compiled_call_impl is not None]


def graphs_in_process() -> int:
    """How many graphs this process has compiled."""
    return _so_far().get("stats", Counter())["unique_graphs"]


def mode_of(module: Any) -> str:
    """The mode that a module was compiled with in place, read from the configuration its compiler holds."""
    holder = getattr(module._compiled_call_impl, "get_compiler_config", None)
    config = (holder() if holder else None) or {}
    if config.get("max_autotune"):
        return "max-autotune"
    return "reduce-overhead" if config.get("triton.cudagraphs") else "default"


def cache_folder(folder: Path, kind: str) -> str:
    """The folder that builds share, or this process's own; those of ended processes are removed."""
    if kind == "kept":
        return str(folder / "kept")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.name.isdigit() and not Path("/proc", old.name).exists():
            shutil.rmtree(old, ignore_errors=True)
    return str(folder / str(os.getpid()))
