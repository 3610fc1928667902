"""What a call really did: denoiser calls with batch and dtype, attention kernels, time by component.

Proof for the receipts. A witness slows the call down a little, so the calls that are timed run without one.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mic2e_bench.catalog.witness import Witness, replaced

if TYPE_CHECKING:
    from mic2e_bench.catalog.pipeline import Build

# methods of a component that a pipeline calls instead of the module itself
ENTRIES = {"vae": ("encode", "decode"), "": ("forward",)}
# what the VAE's entries call, where they cut an image into tiles or a batch into slices
VAE_PARTS = ("tiled_encode", "tiled_decode", "_encode", "_decode")


@contextlib.contextmanager
def watch(
    witness: Witness, modules: Mapping[str, Any], denoiser: str, sync: Callable, phase: Callable = lambda name: None
) -> Iterator[Witness]:
    """Fill ``witness`` during the block. ``sync()`` waits for the device, so that component times are true.

    ``phase(name)`` is told what a component begins: ``encode``, ``denoise`` (``forward`` where the denoiser is the
    whole model) or ``decode``.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_projections(modules[denoiser], witness))
        for name in VAE_PARTS if "vae" in modules else ():
            stack.enter_context(_counted(modules["vae"], name, witness.vae_calls))
        for label, module, entry in entries(modules):
            begun = "decode" if entry == "decode" else "encode"
            if label == denoiser:
                begun = "denoise" if len(modules) > 1 else "forward"
            begin = functools.partial(phase, begun)
            stack.enter_context(_recorded(module, entry, label, label == denoiser, witness, sync, begin))
        yield witness


@contextlib.contextmanager
def steps(build: Build, sync: Callable) -> Iterator[list[float]]:
    """Note during the block how many steps a diffusers pipeline makes, each one's guidance, and when it ended
    (``time.perf_counter``): that is what the block is given.
    """
    ended: list[float] = []

    def on_step(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        sync()
        ended.append(time.perf_counter())
        build.witness.guidance.append(float(pipe.guidance_scale))
        return tensors

    build.on_step.insert(0, on_step)  # before a callback that changes something
    try:
        yield ended
    finally:
        if on_step in build.on_step:
            build.on_step.remove(on_step)
        build.witness.steps = len(ended)


def entries(modules: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Every method that a pipeline calls of its components: its label in a record, the module, the method's name."""
    for name, module in modules.items():
        for entry in ENTRIES.get(name, ENTRIES[""]):
            yield (name if entry == "forward" else f"{name}.{entry}"), module, entry


def _recorded(
    module: Any, entry: str, label: str, is_denoiser: bool, witness: Witness, sync: Callable, begin: Callable
) -> contextlib.AbstractContextManager[None]:
    """Record the calls of one method of one live module during the block."""
    from torch import is_inference_mode_enabled

    def record(inner: Callable, *args: Any, **kwargs: Any) -> Any:
        first = args[0] if args else next(iter(kwargs.values()), None)
        if is_denoiser:
            batch = first if isinstance(first, (list, tuple)) else [first]  # Z-Image passes a list, one tensor an image
            size = len(first) if batch is first else first.shape[0]
            witness.denoiser.append((size, str(batch[0].dtype).removeprefix("torch.")))
            witness.device, witness.inference_mode = batch[0].device.type, is_inference_mode_enabled()
            witness.projections.append(0)
        if entry == "decode":
            witness.decoder_dtype = str(first.dtype).removeprefix("torch.")
        sync()
        begin()
        start = time.perf_counter()
        result = inner(*args, **kwargs)
        sync()
        witness.component_s.setdefault(label, []).append(time.perf_counter() - start)
        if entry == "decode":
            sample = result[0] if isinstance(result, tuple) else result.sample
            witness.sizes.append((sample.shape[-2], sample.shape[-1]))
            witness.decoded += sample.shape[0]
        return result

    return replaced(module, entry, record)


def compiled(module: Any) -> bool:
    """Whether the module, or any module inside it, goes through torch.compile."""
    return any(hasattr(m, "_orig_mod") or m._compiled_call_impl is not None for m in module.modules())


@contextlib.contextmanager
def hooked(modules: Iterable[Any], hook: Callable[..., None]) -> Iterator[None]:
    """Have ``hook(module, args, output)`` called after each call of these modules during the block."""
    with contextlib.ExitStack() as stack:
        for module in modules:
            stack.enter_context(module.register_forward_hook(hook))
        yield


def _projections(denoiser: Any, witness: Witness) -> contextlib.AbstractContextManager[None]:
    """Count the calls of attention's query projections: what a step cache skipped shows there and nowhere else.

    A hook would make compiled code compile anew, so there is no count then.
    """

    def count(module: Any, args: Any, output: Any) -> None:
        if witness.projections:
            witness.projections[-1] += 1

    wanted = [m for name, m in denoiser.named_modules() if name.rpartition(".")[2] in ("to_q", "to_qkv")]
    return hooked([] if compiled(denoiser) else wanted, count)


def _counted(module: Any, name: str, counter: Counter) -> contextlib.AbstractContextManager[None]:
    """Count the calls of a method of one live module, where it has it."""

    def count(inner: Callable, *args: Any, **kwargs: Any) -> Any:
        counter[name] += 1
        return inner(*args, **kwargs)

    return replaced(module, name, count) if hasattr(module, name) else contextlib.nullcontext()
