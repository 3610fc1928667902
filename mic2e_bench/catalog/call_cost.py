"""What a call has to do, and the ceilings of this device: FLOPs by PyTorch's own counter, bytes moved (an estimate).

Counted in a call of its own, which is slow, so only with ``protocol.cost``.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop

from mic2e_bench.catalog.kernels import can_count
from mic2e_bench.catalog.pipeline import Build, Item
from mic2e_bench.catalog.watch import entries, hooked
from mic2e_bench.catalog.witness import replaced
from mic2e_bench.machine.ceilings import ceilings

# attention on a CPU, which PyTorch's counter does not know
OF_CPU = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda query, key, value, *args, out_shape=None, **kw: (
        sdpa_flop(query, key, value)
    )
}
IDLE = (torch.nn.Dropout, torch.nn.Identity)  # they pass on what they get


def of_call(build: Build, item: Item, seed: int) -> dict[str, Any]:
    """A record's ``cost``: ``flops``, ``component_flops``, ``moved_bytes_estimate``, ``reason``, ``ceilings``.

    The first three are ``None`` where the counter would miss a part, and ``reason`` says why.
    """
    dtype = build.witness.denoiser[0][1] if build.witness.denoiser else "float32"
    reason = why_not(build)
    counted = count(build, item, seed) if not reason else {}
    empty = dict.fromkeys(("flops", "component_flops", "moved_bytes_estimate"))
    return {**empty, **counted, "reason": reason, "ceilings": ceilings(build.device, dtype)}


def why_not(build: Build) -> str:
    """Why the operators of its calls cannot be counted; empty where they can."""
    if not can_count(build.denoiser):
        return "compiled or exported code: its operators do not pass through PyTorch's counter"
    if build.settings.get("quantize", "none") != "none":
        return f"the counter does not know the operators of {build.settings['quantize']}"
    foreign = [name for name in build.witness.attention if not name.startswith(("scaled_dot", "_scaled_dot"))]
    return f"the counter does not know {', '.join(sorted(foreign))}" if foreign else ""


def count(build: Build, item: Item, seed: int) -> dict[str, Any]:
    """One call under the counter."""
    components: dict[str, int] = {}
    moved = [0]
    mode = FlopCounterMode(display=False, custom_mapping=OF_CPU)
    with build.around(), _by_component(build, mode, components), _traffic(build, moved), mode:
        build.pipeline.call(build, item, seed)
    return {"flops": mode.get_total_flops(), "component_flops": components, "moved_bytes_estimate": moved[0]}


@contextlib.contextmanager
def _by_component(build: Build, mode: FlopCounterMode, found: dict[str, int]) -> Iterator[None]:
    """Tell the components' shares apart."""

    def counted(label: str, inner: Callable, *args: Any, **kwargs: Any) -> Any:
        before = mode.get_total_flops()
        result = inner(*args, **kwargs)
        found[label] = found.get(label, 0) + mode.get_total_flops() - before
        return result

    with contextlib.ExitStack() as stack:
        for label, module, entry in entries(build.modules()):
            stack.enter_context(replaced(module, entry, functools.partial(counted, label)))
        yield


def _traffic(build: Build, moved: list[int]) -> contextlib.AbstractContextManager[None]:
    """Add up what the innermost modules read and write: weights, inputs and outputs, each once a call.

    An estimate of the memory traffic: caches save some of it, and what lies between modules is left out.
    """

    def add(module: Any, args: Any, output: Any) -> None:
        tensors = (*_tensors(args), *_tensors(output), *module.parameters(recurse=False))
        moved[0] += sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    inner = {m for whole in build.modules().values() for m in whole.modules() if not next(m.children(), None)}
    return hooked([m for m in inner if not isinstance(m, IDLE)], add)


def _tensors(value: Any) -> Iterable[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _tensors(one)
