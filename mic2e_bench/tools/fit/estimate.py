"""What a setting would take of a GPU's memory: an estimate, and what it assumes."""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.errors import BadInput
from mic2e_bench.plan import conflicts
from mic2e_bench.plan.settings import resolve
from mic2e_bench.tools.fit.allocator import Allocator
from mic2e_bench.tools.fit.cards import OLDER_WORKSPACE, WORKSPACE
from mic2e_bench.tools.fit.elsewhere import HERE, Elsewhere
from mic2e_bench.tools.fit.rehearsal import Rehearsed, rehearse, transposed, transposed_once
from mic2e_bench.units import MIB

# on the card beside what PyTorch's allocator reserves: 686 to 692 MiB in the records of an H100 (torch 2.11, CUDA 13.0)
CONTEXT = 690 * MIB
ASSUMED = (
    f"the CUDA context with its libraries takes {CONTEXT // MIB} MiB of the card beside PyTorch's allocator, "
    "as measured on an H100",
    "weights are read into main memory and placed from there; bitsandbytes quantises in place, layer by layer on the "
    "card, as `run` does it; what PipelineQuantizationConfig needs, which quantises less, has a column of its own",
    f"cuBLAS's workspace is {WORKSPACE // MIB} MiB; on cards before Hopper {OLDER_WORKSPACE / MIB:.1f} MiB",
    "a convolution copies its channels-first input and output for cuDNN's tensor cores; not where channels_last",
    "fused attention kernels hold no matrix of scores, whichever of them it is",
    "the allocator follows the rules of PyTorch 2.10 with the default settings, and nothing else runs on the card",
)
# settings that change memory in ways that are not counted: when, and what is missing
NOT_MODELLED = {
    "compile": (lambda value: value != "none", "torch.compile: fused kernels need less, pools of CUDA graphs more"),
    "engine": (lambda value: value != "torch", "the engine's workspace; its copy of the weights is counted"),
    "step_cache": (lambda value: value != "none", "what the cache keeps from step to step"),
    "cudnn_benchmark": (bool, "the fastest convolutions may have larger workspaces"),
    "offload": (lambda value: value == "group", "the side stream of group offload, which has cached memory of its own"),
    "guidance_stop": (lambda value: value < 1, "nothing: the guided steps decide the peak"),
}
# settings that decide what is allocated when; others share a rehearsal
DECIDE = (
    "attention", "batch", "channels_last", "fused_qkv", "offload", "precision", "prompt_kind", "quantize",
    "quantize_parts", "resolution", "vae_slicing", "vae_tiling",
)  # fmt: skip


class Peak(NamedTuple):
    """The most bytes that PyTorch's allocator has given out, and has taken from the device."""

    allocated: int
    reserved: int


@dataclass(frozen=True)
class Fit:
    """Whether an estimate fits a memory. ``tight``: only once cached memory is given back, which PyTorch does."""

    fits: Literal["yes", "tight", "no"]
    spare: float  # bytes that are left, or negative: that are missing
    decided_by: Literal["loading", "call"]  # which of the two needs more


@dataclass(frozen=True)
class Estimate:
    """Bytes. ``stages``: the most that was allocated during each call of a component, in order.

    ``reserved`` is what PyTorch's allocator would take from the device in a call, to be compared with a record's
    ``peak_vram_reserved_bytes``; ``loading`` is the peak before it, while the pipeline is loaded, quantised and placed;
    ``on_card`` is the larger one with the CUDA context.
    """

    pipeline: str
    settings: Mapping[str, Any]
    size: tuple[int, int]
    weights: Mapping[str, int]
    stages: tuple[tuple[str, int], ...]
    allocated: int
    reserved: int
    loading: Peak
    not_modelled: tuple[str, ...]
    rehearsed: Rehearsed

    @property
    def on_card(self) -> int:
        return max(self.reserved, self.loading.reserved) + CONTEXT

    def on(self, memory: float, workspace: int = WORKSPACE) -> Fit:
        """Whether loading and a call fit a card with so many bytes, on which cuBLAS takes this workspace."""
        # the share that PyTorch may take is of the whole card, and the context lies beside it
        capacity = min(memory - CONTEXT, memory * self.settings.get("memory_fraction", 1.0))
        call = self.peaks(workspace)
        reserved = max(call.reserved, self.loading.reserved)
        decides = "call" if call.reserved >= self.loading.reserved else "loading"
        if reserved <= capacity:
            return Fit("yes", capacity - reserved, decides)
        spare = capacity - max(call.allocated, self.loading.allocated)
        if self.settings.get("expandable_segments"):
            return Fit("no", spare, decides)
        if any(phase.failed for phase in _replay(self.rehearsed, workspace, capacity)):
            return Fit("no", spare if spare < 0 else capacity - reserved, decides)  # or only gaps are left
        return Fit("tight", spare, decides)

    def peaks(self, workspace: int) -> Peak:
        """Bytes allocated and reserved at most in a call, where cuBLAS takes this workspace."""
        if workspace == WORKSPACE:
            return Peak(self.allocated, self.reserved)
        return _peaks(registry.pipeline(self.pipeline), self.settings, self.rehearsed, workspace)[1]


def estimate(
    pipeline: Pipeline,
    model: Mapping[str, Any],
    settings: Mapping[str, Any],
    size: tuple[int, int] | None = None,
    elsewhere: Elsewhere = HERE,
) -> Estimate:
    """The estimate of resolved settings. ``size``: the input image's (width, height), by default as large as asked.

    ``elsewhere``: what is done otherwise than ``run`` does it, for figures that others published.
    Raises ``BadInput`` where the settings cannot be in force together on a GPU.
    """
    settings = {**settings, "device": "cuda"}
    if reason := conflicts.find(settings, pipeline):
        raise BadInput(f"{pipeline.name}: {reason}")
    decisive = {name: settings[name] for name in DECIDE if name in settings}
    guided = "guidance" in settings and pipeline.guides(settings["guidance"])
    side = settings.get("resolution", 1024)
    size = size or ((side, side) if isinstance(side, int) else (side[1], side[0]))
    key = json.dumps([dict(model), decisive, guided, dataclasses.asdict(elsewhere)], sort_keys=True)
    done = _rehearsed(pipeline.name, key, size)
    loading, call = _peaks(pipeline, settings, done, WORKSPACE)
    notes = tuple(text for name, (when, text) in NOT_MODELLED.items() if name in settings and when(settings[name]))
    return Estimate(pipeline.name, settings, size, dict(done.weights), _stages(done), *call, loading, notes, done)


@functools.lru_cache(maxsize=64)
def _rehearsed(name: str, key: str, size: tuple[int, int]) -> Rehearsed:
    model, decisive, guided, otherwise = json.loads(key)
    pipeline = registry.pipeline(name)
    guidance = {"guidance": 5.0 if guided else 0.0} if "guidance" in registry.toggles_of(pipeline) else {}
    settings = resolve({**decisive, **guidance, "device": "cuda"}, pipeline, "fit")
    workspace = transposed_once if otherwise["one_copy"] else transposed
    return rehearse(pipeline, model, settings, size, workspace, Elsewhere(**otherwise))


def _peaks(pipeline: Pipeline, settings: Mapping[str, Any], done: Rehearsed, workspace: int) -> tuple[Peak, Peak]:
    """The peaks of loading and of a call."""
    engine = done.weights[pipeline.denoiser] if settings.get("engine", "torch") != "torch" else 0
    peaks = []
    for phase in _replay(done, workspace):
        allocated = phase.most_allocated + engine
        # segments that grow leave no gaps to speak of
        reserved = allocated if settings.get("expandable_segments") else phase.most_reserved + engine
        peaks.append(Peak(allocated, reserved))
    return peaks[0], peaks[1]


def _replay(done: Rehearsed, workspace: int = WORKSPACE, capacity: float = float("inf")) -> tuple[Allocator, Allocator]:
    """The allocator after loading, and after a call."""
    allocator = Allocator(capacity)
    loading = copy.copy(allocator.replay(done.events[: done.loaded]))  # its figures
    allocator.start_afresh()
    allocator.take(workspace)
    return loading, allocator.replay(done.events[done.loaded :])


def _stages(done: Rehearsed) -> tuple[tuple[str, int], ...]:
    totals = list(itertools.accumulate((size for _, size in done.events), initial=0))
    return tuple(
        (stage.component if stage.entry == "forward" else f"{stage.component}.{stage.entry}",
         max(totals[stage.start : stage.end + 1]))
        for stage in done.stages
    )  # fmt: skip
