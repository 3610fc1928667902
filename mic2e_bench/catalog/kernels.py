"""Which attention kernels a denoiser really ran, counted as PyTorch dispatches them."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from mic2e_bench.catalog.watch import compiled
from mic2e_bench.catalog.witness import Witness, replaced


def can_count(denoiser: Any) -> bool:
    """Whether operators of a denoiser can be seen one by one.

    Under a counting mode compiled code falls back to eager, or is compiled once more, and an engine could not export.
    """
    return not (compiled(denoiser) or getattr(denoiser.forward, "opaque", False))


def count_kernels(witness: Witness, denoiser: Any) -> contextlib.AbstractContextManager[None]:
    """Count the attention kernels of the denoiser's first call in the block.

    Every operator then passes through Python, which is slow: one call of the denoiser must do, and no clock may run.
    """
    left = [True]

    def count(inner: Callable, *args: Any, **kwargs: Any) -> Any:
        with attention_kernels(witness.attention) if left and left.pop() else contextlib.nullcontext():
            return inner(*args, **kwargs)

    return replaced(denoiser, "forward", count) if can_count(denoiser) else contextlib.nullcontext()


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
