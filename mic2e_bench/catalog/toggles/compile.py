"""torch.compile on the denoiser."""

from __future__ import annotations

import json

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle, one_of
from mic2e_bench.catalog.toggles.backends import compiling

MODES = ("none", "default", "reduce-overhead", "max-autotune", "regional")


def apply(build: Build, value: str) -> None:
    compiling.arrange(build, mode=value)


def observe(build: Build, value: str) -> Seen:
    """The compiled modules on the live denoiser, the mode that their compiler holds, and Dynamo's counters."""
    found = compiling.compiled_modules(build.denoiser.modules())
    if not found or build.notes.get("engine"):
        return Seen("none", "no module of the denoiser is compiled in place", reason=_nothing(value))
    trial = compiling.of_trial(build)
    regional = build.denoiser not in found
    mode = "regional" if regional else compiling.mode_of(build.denoiser)
    how = f"{len(found)} modules compiled in place; in this trial: {trial.text()}"
    if not compiling.graphs_in_process():
        return Seen("none", how, applied=False, reason="the wrapper is there, but no graph was compiled")
    return _with_cuda_graphs(build, mode, how, trial.cudagraphs_skipped)


def _with_cuda_graphs(build: Build, mode: str, how: str, skipped: int) -> Seen:
    """CUDA graphs are what reduce-overhead adds to default, and a part of max-autotune."""
    if mode not in ("reduce-overhead", "max-autotune"):
        return Seen(mode, how)
    if build.device.startswith("cuda"):
        recorded = compiling.recorded_graphs(build)
        how += f"; CUDA graphs recorded {recorded} times, skipped {skipped} times"
        if recorded or mode == "max-autotune":
            return Seen(mode, how)
        return Seen("default", how, reason="no CUDA graph was recorded; without them this is the default mode")
    how += "; CUDA graphs skipped: the denoiser runs on a CPU"
    if mode == "max-autotune":
        return Seen(mode, how)
    return Seen("default", how, reason="CUDA graphs need a CUDA device; without them this is the default mode")


def _nothing(value: str) -> str:
    return f"asked {value}, and no module is compiled: another setting replaced the denoiser's call"


def code(value: str, settings: Settings, pipeline: Pipeline) -> Code:
    """With what ``compile_fullgraph`` and ``compile_dynamic`` ask."""
    if value == "none":
        return Code()
    dynamic = None if settings["compile_dynamic"] == "auto" else settings["compile_dynamic"]
    arguments = f'fullgraph={settings["compile_fullgraph"]}, dynamic={dynamic}, backend="{compiling.BACKEND}"'
    denoiser = f"pipe.{pipeline.denoiser}"
    if value == "regional":
        return Code(lines=f"{denoiser}.compile_repeated_blocks({arguments})")
    mode = None if value == "default" else value
    return Code(lines=f"{denoiser}.compile(mode={json.dumps(mode) if mode else None}, {arguments})")


COMPILE = Toggle(
    name="compile",
    phase=Phase.COMPILE,
    values=" | ".join(MODES),
    default="none",
    parse=one_of(*MODES),
    apply=apply,
    observe=observe,
    cost="rounding",
    about="The denoiser becomes fused kernels for its shapes; the first call, and each new shape, pay for compiling.\n"
    "regional compiles one of the repeated blocks and uses it for all; reduce-overhead adds CUDA graphs.",
    source="docs: torch, 'torch.compile'; docs: diffusers, 'Accelerate inference: regional compilation'",
    tolerance=0.02,
    code=code,
)
