"""What a call really did: denoiser calls with batch and dtype, attention kernels, time by component.

Proof for the receipts. A witness slows the call down a little, so the calls that are timed run without one.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# methods of a component that a pipeline calls instead of the module itself
ENTRIES = {"vae": ("encode", "decode"), "": ("forward",)}
# what the VAE's entries call, where they cut an image into tiles or a batch into slices
VAE_PARTS = ("tiled_encode", "tiled_decode", "_encode", "_decode")


@dataclass
class Witness:
    """Facts of one call. ``denoiser`` has one (batch size, dtype) a call; ``attention`` counts its kernels by name."""

    denoiser: list[tuple[int, str]] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)  # height, width that the VAE decoded, pixels
    steps: int = 0
    guidance: list[float] = field(default_factory=list)  # the pipeline's scale at the end of each step
    decoded: int = 0  # images that the VAE decoded
    projections: list[int] = field(default_factory=list)  # calls of query projections, for each denoiser call
    decoder_dtype: str | None = None
    attention: Counter = field(default_factory=Counter)
    component_s: dict[str, list[float]] = field(default_factory=dict)
    device: str | None = None  # of the denoiser's input
    inference_mode: bool | None = None  # whether the denoiser ran in it
    vae_calls: Counter = field(default_factory=Counter)  # of the methods in VAE_PARTS


@contextlib.contextmanager
def watch(witness: Witness, modules: Mapping[str, Any], denoiser: str, sync: Callable[[], None]) -> Iterator[Witness]:
    """Fill ``witness`` during the block. ``sync()`` waits for the device, so that component times are true."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_projections(modules[denoiser], witness))
        for name in VAE_PARTS if "vae" in modules else ():
            stack.enter_context(_counted(modules["vae"], name, witness.vae_calls))
        for name, module in modules.items():
            for entry in ENTRIES.get(name, ENTRIES[""]):
                stack.enter_context(_wrapped(module, entry, name, name == denoiser, witness, sync))
        yield witness


@contextlib.contextmanager
def _wrapped(module: Any, entry: str, name: str, is_denoiser: bool, witness: Witness, sync: Callable) -> Iterator[None]:
    """Put a recording wrapper on one method of one live module, and take it off again.

    An in-place compiled module does not go through ``forward``: there the wrapper goes on its compiled call.
    """
    from torch import is_inference_mode_enabled

    if entry == "forward" and getattr(module, "_compiled_call_impl", None) is not None:
        entry = "_compiled_call_impl"
    inner = getattr(module, entry)
    label = f"{name}.{entry}" if entry in ("encode", "decode") else name
    had_own = entry in vars(module)

    def record(*args: Any, **kwargs: Any) -> Any:
        first = args[0] if args else next(iter(kwargs.values()), None)
        if is_denoiser:
            witness.denoiser.append(_batch(first))
            witness.device, witness.inference_mode = _device(first), is_inference_mode_enabled()
            witness.projections.append(0)
        if entry == "decode":
            witness.decoder_dtype = str(first.dtype).removeprefix("torch.")
        # under a counting mode every operator passes through Python, so one denoiser call must do; compiled code falls
        # back to eager, or is compiled once more, where such a mode is active, and an engine could not export
        opaque = compiled(module) or getattr(inner, "opaque", False)
        first_call = is_denoiser and len(witness.denoiser) == 1 and not opaque
        sync()
        start = time.perf_counter()
        with attention_kernels(witness.attention) if first_call else contextlib.nullcontext():
            result = inner(*args, **kwargs)
        sync()
        witness.component_s.setdefault(label, []).append(time.perf_counter() - start)
        if entry == "decode":
            sample = result[0] if isinstance(result, tuple) else result.sample
            witness.sizes.append((sample.shape[-2], sample.shape[-1]))
            witness.decoded += sample.shape[0]
        return result

    setattr(module, entry, record)
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
    inner = getattr(module, name, None)
    if inner is None:
        yield
        return

    def count(*args: Any, **kwargs: Any) -> Any:
        counter[name] += 1
        return inner(*args, **kwargs)

    setattr(module, name, count)
    try:
        yield
    finally:
        delattr(module, name)


def _device(first: Any) -> str:
    return (first[0] if isinstance(first, (list, tuple)) else first).device.type


def _batch(first: Any) -> tuple[int, str]:
    """Batch size and dtype of the denoiser's first argument (Z-Image passes a list, one tensor an image)."""
    if isinstance(first, (list, tuple)):
        return len(first), str(first[0].dtype).removeprefix("torch.")
    return first.shape[0], str(first.dtype).removeprefix("torch.")


@contextlib.contextmanager
def attention_kernels(counter: Counter) -> Iterator[Counter]:
    """Count the attention kernels that run in the block, by the name of the operator that PyTorch dispatched.

    ``scaled_dot_product_attention`` counts the calls of the function; kernels such as
    ``_scaled_dot_product_flash_attention_for_cpu`` count what it became. The math kernel is no operator of its own:
    it shows as calls without a kernel.
    """
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    class Calls(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if getattr(func, "__name__", "") == "scaled_dot_product_attention":
                counter["scaled_dot_product_attention"] += 1
            return func(*args, **(kwargs or {}))

    class Kernels(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = func.name().removeprefix("aten::").partition(".")[0]  # xFormers' and others keep their prefix
            if name == "scaled_dot_product_attention":
                with self:  # in inference mode the function arrives whole: take it apart to see its kernel
                    return func.decompose(*args, **(kwargs or {}))
            if any(part in name for part in ("attention", "attn", "xformers")):
                counter[name] += 1
            return func(*args, **(kwargs or {}))

    with Calls(), Kernels():
        yield counter
