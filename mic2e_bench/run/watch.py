"""What a call really did: denoiser calls with batch and dtype, attention kernels, time by component.

Proof for the receipts. A witness slows the call down a little, so the calls that are timed run without one.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mic2e_bench.catalog.witness import Witness

# methods of a component that a pipeline calls instead of the module itself
ENTRIES = {"vae": ("encode", "decode"), "": ("forward",)}
# what the VAE's entries call, where they cut an image into tiles or a batch into slices
VAE_PARTS = ("tiled_encode", "tiled_decode", "_encode", "_decode")


@contextlib.contextmanager
def watch(
    witness: Witness,
    modules: Mapping[str, Any],
    denoiser: str,
    sync: Callable[[], None],
    phase: Callable[[str], None] = lambda name: None,
) -> Iterator[Witness]:
    """Fill ``witness`` during the block. ``sync()`` waits for the device, so that component times are true.

    ``phase(name)`` is told what a component begins: ``encode``, ``denoise`` (``forward`` where the denoiser is the
    whole model) or ``decode``.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_projections(modules[denoiser], witness))
        for name in VAE_PARTS if "vae" in modules else ():
            stack.enter_context(_counted(modules["vae"], name, witness.vae_calls))
        for name, module in modules.items():
            for entry in ENTRIES.get(name, ENTRIES[""]):
                is_denoiser = name == denoiser
                of = "denoise" if is_denoiser and len(modules) > 1 else "forward" if is_denoiser else "encode"
                of = "decode" if entry == "decode" else of
                stack.enter_context(_wrapped(module, entry, name, is_denoiser, witness, sync, lambda of=of: phase(of)))
        yield witness


@contextlib.contextmanager
def _wrapped(
    module: Any, entry: str, name: str, is_denoiser: bool, witness: Witness, sync: Callable, begin: Callable
) -> Iterator[None]:
    """Put a recording wrapper on one method of one live module, and take it off again."""
    from torch import is_inference_mode_enabled, isfinite

    label = f"{name}.{entry}" if entry in ("encode", "decode") else name

    def recorded(inner: Callable) -> Callable:
        def record(*args: Any, **kwargs: Any) -> Any:
            first = args[0] if args else next(iter(kwargs.values()), None)
            if is_denoiser:
                witness.denoiser.append(_batch(first))
                witness.device, witness.inference_mode = _device(first), is_inference_mode_enabled()
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
                witness.finite = witness.finite and bool(isfinite(sample).all())
            return result

        return record

    with replaced(module, entry, recorded):
        yield


@contextlib.contextmanager
def replaced(module: Any, entry: str, make: Callable[[Callable], Callable]) -> Iterator[None]:
    """Have ``make(method)`` stand in for a method of one live module during the block.

    An in-place compiled module does not go through ``forward``: there its compiled call is what is replaced.
    """
    if entry == "forward" and getattr(module, "_compiled_call_impl", None) is not None:
        entry = "_compiled_call_impl"
    inner, had_own = getattr(module, entry), entry in vars(module)
    setattr(module, entry, make(inner))
    try:
        yield
    finally:
        if had_own:
            setattr(module, entry, inner)
        else:
            delattr(module, entry)


def compiled(module: Any) -> bool:
    """Whether the module, or any module inside it, goes through torch.compile."""
    return any(hasattr(m, "_orig_mod") or m._compiled_call_impl is not None for m in module.modules())


@contextlib.contextmanager
def _projections(denoiser: Any, witness: Witness) -> Iterator[None]:
    """Count the calls of attention's query projections: what a step cache skipped shows there and nowhere else.

    A hook would make compiled code compile anew, so there is no count then.
    """

    def count(module: Any, args: Any, output: Any) -> None:
        if witness.projections:
            witness.projections[-1] += 1

    wanted = [m for name, m in denoiser.named_modules() if name.rpartition(".")[2] in ("to_q", "to_qkv")]
    handles = [] if compiled(denoiser) else [module.register_forward_hook(count) for module in wanted]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def _counted(module: Any, name: str, counter: Counter) -> Iterator[None]:
    """Count the calls of a method of one live module, where it has it."""
    if not hasattr(module, name):
        yield
        return

    def counted(inner: Callable) -> Callable:
        def count(*args: Any, **kwargs: Any) -> Any:
            counter[name] += 1
            return inner(*args, **kwargs)

        return count

    with replaced(module, name, counted):
        yield


def _device(first: Any) -> str:
    return (first[0] if isinstance(first, (list, tuple)) else first).device.type


def _batch(first: Any) -> tuple[int, str]:
    """Batch size and dtype of the denoiser's first argument (Z-Image passes a list, one tensor an image)."""
    if isinstance(first, (list, tuple)):
        return len(first), str(first[0].dtype).removeprefix("torch.")
    return first.shape[0], str(first.dtype).removeprefix("torch.")
