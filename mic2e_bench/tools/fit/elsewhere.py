"""How others set a pipeline up, where that decides memory and ``run`` has no setting for it: for published figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import nn

FLAT_NF4 = "bnb-nf4, flat"  # the scales of blocks in float32, as they come


@dataclass(frozen=True)
class Elsewhere:
    """What a published measurement did otherwise. All false is how ``run`` does it.

    ``configured``: bitsandbytes through ``PipelineQuantizationConfig``. Both libraries keep float32 what a model lists
    in ``_keep_in_fp32_modules`` (a third of T5), leave the scales of nf4 unnested, and place a component as a whole.
    ``cached``: the allocator's cache is not emptied between loading and the call.
    ``one_copy``: convolutions in float32 copy one of input and output; that is what fits the figures of cuDNN 8.
    ``held``: components that earlier work still holds on the device, with their weights.
    """

    configured: bool = False
    cached: bool = False
    one_copy: bool = False
    held: tuple[str, ...] = ()

    def layers(self, modules: Mapping[str, nn.Module], quantised: dict[nn.Module, str]) -> dict[nn.Module, str]:
        """The layers that are quantised here, with their method; what stays in float32 is made so."""
        if not self.configured:
            return quantised
        chosen = [module for module in modules.values() if not quantised.keys().isdisjoint(module.modules())]
        kept = {layer for module in chosen for layer in _kept(module)}
        for layer in kept:
            layer.weight = nn.Parameter(layer.weight.float(), requires_grad=False)
        methods = {"bnb-nf4": FLAT_NF4}
        return {layer: methods.get(method, method) for layer, method in quantised.items() if layer not in kept}


def _kept(module: nn.Module) -> Iterator[nn.Linear]:
    names = set(getattr(module, "_keep_in_fp32_modules", None) or ())
    for name, layer in module.named_modules():
        if type(layer) is nn.Linear and names & set(name.split(".")):
            yield layer


HERE = Elsewhere()
CONFIGURED = Elsewhere(configured=True, cached=True)
