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


@dataclass
class Witness:
    """Facts of one call. ``denoiser`` has one (batch size, dtype) a call; ``attention`` counts its kernels by name."""

    denoiser: list[tuple[int, str]] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)  # height, width that the VAE decoded, pixels
    steps: int = 0
    decoder_dtype: str | None = None
    attention: Counter = field(default_factory=Counter)
    component_s: dict[str, list[float]] = field(default_factory=dict)


@contextlib.contextmanager
def watch(witness: Witness, modules: Mapping[str, Any], denoiser: str, sync: Callable[[], None]) -> Iterator[Witness]:
    """Fill ``witness`` during the block. ``sync()`` waits for the device, so that component times are true."""
    with contextlib.ExitStack() as stack:
        for name, module in modules.items():
            for entry in ENTRIES.get(name, ENTRIES[""]):
                stack.enter_context(_wrapped(module, entry, name, name == denoiser, witness, sync))
        yield witness


@contextlib.contextmanager
def _wrapped(module: Any, entry: str, name: str, is_denoiser: bool, witness: Witness, sync: Callable) -> Iterator[None]:
    """Put a recording wrapper on one method of one live module, and take it off again.

    An in-place compiled module does not go through ``forward``: there the wrapper goes on its compiled call.
    """
    if entry == "forward" and getattr(module, "_compiled_call_impl", None) is not None:
        entry = "_compiled_call_impl"
    inner = getattr(module, entry)
    label = f"{name}.{entry}" if entry in ("encode", "decode") else name
    had_own = entry in vars(module)

    def record(*args: Any, **kwargs: Any) -> Any:
        first = args[0] if args else next(iter(kwargs.values()), None)
        if is_denoiser:
            witness.denoiser.append(_batch(first))
        if entry == "decode":
            witness.decoder_dtype = str(first.dtype).removeprefix("torch.")
        # under a counting mode every operator passes through Python, so one denoiser call must do
        first_call = is_denoiser and len(witness.denoiser) == 1 and entry == "forward"
        sync()
        start = time.perf_counter()
        with attention_kernels(witness.attention) if first_call else contextlib.nullcontext():
            result = inner(*args, **kwargs)
        sync()
        witness.component_s.setdefault(label, []).append(time.perf_counter() - start)
        if entry == "decode":
            sample = result[0] if isinstance(result, tuple) else result.sample
            witness.sizes.append((sample.shape[-2], sample.shape[-1]))
        return result

    setattr(module, entry, record)
    try:
        yield
    finally:
        if had_own:
            setattr(module, entry, inner)
        else:
            delattr(module, entry)


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
            name = func.name().partition("::")[2].partition(".")[0]
            if name == "scaled_dot_product_attention":
                with self:  # in inference mode the function arrives whole: take it apart to see its kernel
                    return func.decompose(*args, **(kwargs or {}))
            if "attention" in name or "attn" in name:
                counter[name] += 1
            return func(*args, **(kwargs or {}))

    with Calls(), Kernels():
        yield counter
