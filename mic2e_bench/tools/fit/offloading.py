"""Which weights are on the device when: all of them, one component, or one layer at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from mic2e_bench.tools.fit import weight_bytes
from mic2e_bench.tools.fit.elsewhere import FLAT_NF4
from mic2e_bench.tools.fit.trace import Trace

# methods whose products widen the weight for the time of the product; the others make 8-bit copies of the input
WIDENED = ("bnb-nf4", FLAT_NF4, "torchao-int8wo", "torchao-fp8wo", "fp8-layerwise")
HALF = 2  # bytes of an element of what bitsandbytes makes int8 of, whatever the weights are in
SCORES = 4  # bytes of an element of an 8-bit product's result, int32 or float32


class Weights:
    """The weights of components on a device, as ``offload`` has them there, in a trace.

    ``modules`` by name; ``chain`` is the order of ``model_cpu_offload_seq``; ``quantised`` layers with their method.
    """

    def __init__(
        self,
        trace: Trace,
        modules: Mapping[str, nn.Module],
        quantised: Mapping[nn.Module, str],
        offload: str,
        chain: list[str],
    ) -> None:
        self.trace, self.modules, self.quantised, self.offload = trace, modules, quantised, offload
        self.chain = [name for name in chain if name in modules]
        self._there: dict[str, list[tuple[int, int]]] = {}
        self._layers: list[list[tuple[int, int]]] = []  # of group offload, the last that ran

    def load(self, whole: bool = False) -> None:
        """What loading takes: bitsandbytes quantises on the device, layer by layer; then all goes where it is to rest.

        ``whole``: a component with such layers comes as a whole.
        """
        there = {name: self._quantise(module, whole) for name, module in self.modules.items()}
        if self.offload == "none":
            for name in self.modules:
                self._bring(name, there[name])
        else:  # and back to main memory
            self._release(block for blocks in there.values() for layer in blocks.values() for block in layer)

    def _quantise(self, module: nn.Module, whole: bool) -> dict[nn.Module, list[tuple[int, int]]]:
        """The blocks of the layers that this leaves on the device."""
        there: dict[nn.Module, list[tuple[int, int]]] = {}
        theirs = [layer for layer in module.modules() if self.quantised.get(layer, "").startswith("bnb")]
        seen: set[int] = set()
        for layer in module.modules() if whole and theirs else theirs:
            method, in_full = self.quantised.get(layer), []
            if method:
                width = HALF if method == "bnb-int8" else layer.weight.element_size()
                in_full = [self.trace.allocate(layer.weight.numel() * width)]
            there[layer] = [self.trace.allocate(size) for size in weight_bytes.own(layer, self.quantised, seen)]
            self._release(in_full)
        return there

    def hook(self) -> None:
        """Have what comes and goes with a layer do so from now on."""
        for module in self.modules.values():
            for layer in module.modules():
                if self.offload in ("sequential", "group") and any(p is not None for p in layer._parameters.values()):
                    _around(layer, self._visit, self._leave)
                if method := self.quantised.get(layer):
                    _around(layer, lambda layer, args, m=method: self._widen(layer, args, m), self._release)

    def enter(self, name: str) -> None:
        """A component is called."""
        if self.offload == "model":
            place = self.chain.index(name) if name in self.chain else 0
            if place and self.chain[place - 1] in self._there:
                self._take_away(self.chain[place - 1])
                self.trace.empty_cache()
        if self.offload in ("none", "model"):
            self._bring(name)

    def _bring(self, name: str, there: Mapping[nn.Module, list[tuple[int, int]]] | None = None) -> None:
        """On the device in the dtype that it now has: some pipelines widen their VAE on the way.

        ``there``: blocks of layers that are on the device already.
        """
        module, there = self.modules[name], there or {}
        sizes = weight_bytes.tensors(module, self.quantised)
        if [size for _, size in self._there.get(name, ())] != sizes:
            self._take_away(name)
            seen: set[int] = set()
            self._there[name] = []
            for layer in module.modules():
                own = weight_bytes.own(layer, self.quantised, seen)
                self._there[name] += there.get(layer) or [self.trace.allocate(size) for size in own]

    def _take_away(self, name: str) -> None:
        self._release(self._there.pop(name, ()))

    def _release(self, blocks: Iterable[tuple[int, int]]) -> None:
        for block in blocks:
            self.trace.release(block)

    def _visit(self, layer: nn.Module, args: Any) -> list[tuple[int, int]]:
        return [self.trace.allocate(size) for size in weight_bytes.own(layer, self.quantised)]

    def _leave(self, blocks: list[tuple[int, int]]) -> None:
        """The layer goes; with ``group`` the next one was fetched meanwhile, so two are there at a time."""
        if self.offload == "group":
            self._layers.append(blocks)
            blocks = self._layers.pop(0) if len(self._layers) > 1 else []
        self._release(blocks)

    def _widen(self, layer: nn.Module, args: Any, method: str) -> list[tuple[int, int]]:
        """What the product of a quantised layer takes beside its output."""
        if method in WIDENED:
            return [self.trace.allocate(layer.weight.numel() * layer.weight.element_size())]
        rows = args[0].numel() // args[0].shape[-1]
        return [self.trace.allocate(args[0].numel()), self.trace.allocate(rows * layer.weight.shape[0] * SCORES)]


def _around(layer: nn.Module, before: Any, after: Any) -> None:
    """Call ``before(layer, args)`` at each of a layer's calls, and ``after`` with what it returned."""
    held: list[Any] = []
    layer.register_forward_pre_hook(lambda module, args: held.append(before(module, args)))
    layer.register_forward_hook(lambda module, args, output: after(held.pop()))
