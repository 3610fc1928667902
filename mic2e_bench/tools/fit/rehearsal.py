"""One call of the real pipeline on components without memory, and what it would allocate on a GPU.

The pipeline's own code runs on real small tensors; at a component's door they become tensors without memory, the
component's own code runs on those under a trace, and zeros of the right shape come out. So a pipeline, a toggle or a
resolution needs no formula here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from PIL import Image
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn import Module
from transformers import pytorch_utils

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import random
from mic2e_bench.catalog.pipeline import Build, Item, Pipeline
from mic2e_bench.catalog.toggles.channels_last import PARTS
from mic2e_bench.catalog.toggles.precision import DTYPES
from mic2e_bench.catalog.watch import ENTRIES
from mic2e_bench.tools.fit import weight_bytes, weightless
from mic2e_bench.tools.fit.elsewhere import HERE, Elsewhere
from mic2e_bench.tools.fit.offloading import Weights
from mic2e_bench.tools.fit.trace import Hollow, Trace, Tracing, as_fake, as_real

# toggles whose own code works on such components; the rest changes no memory, or is named in estimate.NOT_MODELLED
BUILT = ("attention", "vae_slicing", "vae_tiling")
CALLED = ("batch", "guidance", "resample", "resolution")
TALKATIVE = ("bitsandbytes", "diffusers", "transformers")  # of float16 on a CPU, where nothing is computed
Workspace = Callable[[Any, tuple[Any, ...], Any], int]
# ways of computing attention that hold no matrix of scores: on a device one takes the same memory as another
FUSED = ("native", "efficient", "flash", "cudnn", "xformers", "xformers-else-sliced", "flash_attn_2", "flash_attn_3")


def transposed(function: Any, args: tuple[Any, ...], result: Any) -> int:
    """Bytes of a convolution's workspace: cuDNN's tensor-core kernels copy channels-first input and output."""
    if function is not torch.ops.aten.convolution.default:
        return 0
    return sum(tensor.numel() * tensor.element_size() for tensor in (args[0], result))


def transposed_once(function: Any, args: tuple[Any, ...], result: Any) -> int:
    """The same where float32 convolutions copy their input alone."""
    both = transposed(function, args, result)
    return args[0].numel() * args[0].element_size() if both and args[0].dtype == torch.float32 else both


@dataclass(frozen=True)
class Stage:
    """One call of a component: its events in the trace are ``events[start:end]``."""

    component: str
    entry: str
    start: int
    end: int


@dataclass(frozen=True)
class Rehearsed:
    """The events of loading (``events[:loaded]``) and of a call, its stages, the stored bytes of each component."""

    events: list[tuple[Any, int]]
    loaded: int
    stages: tuple[Stage, ...]
    weights: Mapping[str, int]


def made(
    pipeline: Pipeline, model: Mapping[str, Any], settings: Mapping[str, Any], elsewhere: Elsewhere = HERE
) -> tuple[Build, dict[Module, str]]:
    """A build of components on the meta device with what changes their layers, and the layers to be quantised."""
    load = {"dtype": getattr(torch, DTYPES[settings["precision"]]), "prompt_kind": settings.get("prompt_kind")}
    build = Build(pipeline, device="cpu", load=load, model=model, settings=settings)
    with warnings.catch_warnings(), weightless.quiet(*TALKATIVE):
        warnings.simplefilter("ignore")
        components = weightless.components(pipeline, model, load)
        build.pipe = pipeline.assembled({**components, **random.unweighted(pipeline)}, load)
    if settings.get("fused_qkv"):
        registry.toggles()["fused_qkv"].apply(build, True)
    quantised = weight_bytes.quantised_layers(pipeline, components, settings, load["dtype"])
    return build, elsewhere.layers(components, quantised)


def rehearse(
    pipeline: Pipeline,
    model: Mapping[str, Any],
    settings: Mapping[str, Any],
    size: tuple[int, int],
    workspace: Workspace | None = transposed,
    elsewhere: Elsewhere = HERE,
) -> Rehearsed:
    """Loading, then one call of one step. ``settings`` are resolved; ``size`` is the input image's (width, height).

    ``workspace(operator, arguments, result)`` gives the bytes that a kernel takes beside its result.
    """
    build, quantised = made(pipeline, model, settings, elsewhere)
    modules, trace, stages = build.modules(), Trace(), []
    weights = weight_bytes.weights_bytes(modules, quantised)
    for name in elsewhere.held:
        trace.allocate(weights[name])
    for module in modules.values():
        weightless.hollow(module)
    chain = (getattr(build.pipe, "model_cpu_offload_seq", None) or "").split("->")
    device = Weights(trace, modules, quantised, settings.get("offload", "none"), chain)
    device.load(whole=elsewhere.configured)
    if not elsewhere.cached:
        trace.empty_cache()
    loaded = len(trace.events)
    device.hook()
    unpacked = {pipeline.denoiser if part == "denoiser" else part for part in PARTS[settings["channels_last"]]}
    fake = Hollow()
    for name, module in modules.items():
        for entry in ENTRIES.get(name, ENTRIES[""]):
            tracing = Tracing(trace, None if name in unpacked else workspace, fake)
            _put_door(name, module, entry, fake, tracing, device, stages)
    _call(build, settings, size)
    return Rehearsed(trace.events, loaded, tuple(stages), weights)


def _put_door(
    name: str, module: Module, entry: str, fake: Hollow, tracing: Tracing, device: Weights, stages: list[Stage]
) -> None:
    """Have one method of one component work on tensors without memory."""
    inner, trace = getattr(module, entry), tracing.trace

    def enter(*args: Any, **kwargs: Any) -> Any:
        device.enter(name)
        start = len(trace.events)
        with fake, tracing:
            for tensor in (*module.parameters(), *module.buffers()):
                trace.add(tensor if isinstance(tensor, FakeTensor) else fake.from_tensor(tensor), count=False)
            given, named = as_fake((args, kwargs), fake, trace)
            result = inner(*given, **named)
        stages.append(Stage(name, entry, start, len(trace.events)))
        return as_real(result)

    setattr(module, entry, enter)


def _call(build: Build, settings: Mapping[str, Any], size: tuple[int, int]) -> None:
    pipe, known = build.pipe, registry.toggles()
    if hasattr(pipe, "set_progress_bar_config"):
        pipe.set_progress_bar_config(disable=True)
    if hasattr(pipe, "capture"):  # what ObjectClear reads back from its UNet has no values here
        pipe.register_to_config(apply_attention_guided_fusion=False)
    for name in (*BUILT, *CALLED):
        fused = name == "attention" and settings[name] in FUSED
        if name in settings and not fused:
            known[name].apply(build, settings[name])
    build.call["steps"] = 1  # every step takes the same
    image, mask, box = Image.new("RGB", size), Image.new("L", size, 255), (0.0, 0.0, *map(float, size))
    item = Item("rehearsal", image, mask, "a prompt", "a caption", "a phrase", ((1.0, 1.0, 1),), box)
    with warnings.catch_warnings(), weightless.quiet(*TALKATIVE), build.around(), _without_caches():
        warnings.simplefilter("ignore")
        build.pipeline.call(build, item, 0)


def _without_caches() -> Any:
    """transformers keeps position embeddings for the process: none without memory may stay there, or come from there.

    It keeps none while it is compiled, so that is what it is told.
    """
    return mock.patch.object(pytorch_utils, "is_torchdynamo_compiling", lambda: True)
