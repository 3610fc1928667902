"""What rounding alone does to a picture: a call repeated with a change that no arithmetic promises to leave out.

Two harmless runs may differ by as much, so what moves a picture no farther cannot be told from rounding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mic2e_bench.catalog.kernels import can_count
from mic2e_bench.catalog.pipeline import Build, Item
from mic2e_bench.catalog.witness import replaced

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

KINDS = {
    "ulp": "one unit in the last place",  # of the latents (of a segmenter: the pixels) that the denoiser sees first
    "kernel": "another attention kernel",
    "batch": "another place in the batch",
}


def calls(build: Build, item: Item, seed: int) -> dict[str, Callable[[], Image.Image]]:
    """By the names of ``KINDS``, calls that make the picture of this input and seed once more.

    They are made within ``build.around()``. What is compiled or exported would be made anew for another kernel or
    batch: there it is the first alone, and so it is on a GPU without room for what the others need beside.
    """
    found = {"ulp": lambda: _ulp(build, item, seed)}
    if can_count(build.denoiser) and _has_room(build):
        found |= {"kernel": lambda: _kernel(build, item, seed), "batch": lambda: _second(build, item, seed)}
    return found


def _has_room(build: Build) -> bool:
    """Whether twice what the last call needed is free: a call that runs out of memory may leave a build half-way."""
    import torch

    if not build.device.startswith("cuda"):
        return True
    held = torch.cuda.memory_allocated()
    free = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - held
    return free >= 2 * (torch.cuda.max_memory_allocated() - held)


def _ulp(build: Build, item: Item, seed: int) -> Image.Image:
    """With every value of the denoiser's first input moved by one unit in its last place."""
    left = [True]

    def moved(inner: Callable, *args: Any, **kwargs: Any) -> Any:
        if left and left.pop():
            if args:
                args = (_nudged(args[0]), *args[1:])
            else:
                first = next(iter(kwargs))
                kwargs = {**kwargs, first: _nudged(kwargs[first])}
        return inner(*args, **kwargs)

    with replaced(build.denoiser, "forward", moved):
        return build.pipeline.call(build, item, seed)[0]


def _nudged(value: Any) -> Any:
    return [nudged(each) for each in value] if isinstance(value, (list, tuple)) else nudged(value)


def nudged(tensor: Tensor) -> Tensor:
    """Each value one unit in its last place larger or smaller, at random from a fixed seed; zeros stay.

    All rows of a batch move alike: guidance has the same latents twice.
    """
    import torch

    kind = {2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    signs = 2 * torch.randint(0, 2, tensor.shape[1:], generator=torch.Generator().manual_seed(0)) - 1
    bits = tensor.contiguous().view(kind) + signs.to(tensor.device, kind)  # the sign is a bit of its own
    return torch.where(tensor == 0, tensor, bits.view(tensor.dtype))


def _kernel(build: Build, item: Item, seed: int) -> Image.Image:
    """With PyTorch's plain attention, or with a fused one where the plain one is in force."""
    from mic2e_bench.catalog.toggles.backends.attention import arranged, kernel

    with kernel("efficient" if arranged(build) == "math" else "math"):
        return build.pipeline.call(build, item, seed)[0]


def _second(build: Build, item: Item, seed: int) -> Image.Image:
    """As the second picture of a batch; its first has the seed before."""
    with _in_call(build, batch=build.call.get("batch", 1) + 1):
        return build.pipeline.call(build, item, seed - 1)[1]


@contextlib.contextmanager
def _in_call(build: Build, **changes: Any) -> Iterator[None]:
    before, build.call = build.call, {**build.call, **changes}
    try:
        yield
    finally:
        build.call = before
