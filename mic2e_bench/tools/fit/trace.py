"""Which tensors live when: every allocation and release of a block of code, in order, real or without memory."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

EMPTY_CACHE = "empty_cache"
NUMBERS = 16  # elements up to which what code wrote down as a tensor stays known


class Hollow(FakeTensorMode):
    """Tensors with a shape and no memory.

    Small tensors that code wrote down keep their values: SAM3 reads a size back from one.
    """

    def __init__(self) -> None:
        super().__init__(allow_non_fake_inputs=True)

    def may_turn_const(self, t: torch.Tensor) -> bool:
        return t.numel() <= NUMBERS and not isinstance(t, FakeTensor) and t.device.type != "meta"


class Trace:
    """Events ``(block, bytes)``: positive bytes allocate a block, negative ones release it.

    ``(EMPTY_CACHE, 0)`` is where the allocator's free memory is given back to the device.
    """

    def __init__(self) -> None:
        self.events: list[tuple[Any, int]] = []
        self._known: dict[int, tuple[int, int]] = {}  # storage -> (block, bytes)
        self._blocks = 0

    def allocate(self, size: int) -> tuple[int, int]:
        """A block that is no tensor's; returns what ``release`` wants."""
        self._blocks += 1
        self.events.append((self._blocks, size))
        return self._blocks, size

    def release(self, block: tuple[int, int]) -> None:
        self.events.append((block[0], -block[1]))

    def empty_cache(self) -> None:
        self.events.append((EMPTY_CACHE, 0))

    def add(self, tensor: torch.Tensor, count: bool = True) -> None:
        """A tensor's storage, once; with ``count`` false it is known from now on and takes nothing."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        size = storage.nbytes() if count else 0
        self._known[key] = self.allocate(size) if size else (0, 0)
        weakref.finalize(storage, self._dropped, key)

    def _dropped(self, key: int) -> None:
        block = self._known.pop(key)
        if block[1]:
            self.release(block)

    def add_all(self, tree: Any) -> None:
        for leaf in pytree.tree_leaves(tree):
            if isinstance(leaf, torch.Tensor):
                self.add(leaf)


class Tracing(TorchDispatchMode):
    """Adds what every operator makes to a trace.

    ``workspace(function, arguments, output)`` gives the bytes that the operator's kernel takes on the way.
    """

    def __init__(self, trace: Trace, workspace: Any = None, fake: Hollow | None = None) -> None:
        super().__init__()
        self.trace, self.workspace, self.fake = trace, workspace, fake

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.fake:  # an operator on weights that are none of its tensors would not be looked up, but worked out anew
            args = [self.fake.from_tensor(one) if isinstance(one, nn.Parameter) else one for one in args]
        result = function(*args, **(kwargs or {}))
        self.trace.add_all(result)
        if self.workspace and (size := self.workspace(function, args, result)):
            self.trace.release(self.trace.allocate(size))
        return result


def as_fake(tree: Any, mode: Hollow, trace: Trace) -> Any:
    """Real tensors become ones without memory, and are counted: their owner keeps them during the call."""

    def convert(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor) or isinstance(leaf, FakeTensor):
            return leaf
        made = mode.from_tensor(leaf)
        trace.add(made)
        return made

    return pytree.tree_map(convert, tree)


def as_real(tree: Any) -> Any:
    """Tensors without memory become zeros of their shape and dtype."""
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    def convert(leaf: Any) -> Any:
        if isinstance(leaf, DiagonalGaussianDistribution):
            return DiagonalGaussianDistribution(convert(leaf.parameters))
        return torch.zeros(leaf.shape, dtype=leaf.dtype) if isinstance(leaf, FakeTensor) else leaf

    return pytree.tree_map(convert, tree)
