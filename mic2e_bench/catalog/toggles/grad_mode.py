"""no_grad or inference_mode."""

from __future__ import annotations

from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.catalog.toggle import Phase, Seen, Toggle, one_of, unless


def apply(build: Build, value: str) -> None:
    import torch

    if value == "inference_mode":  # every pipeline's call is decorated with no_grad, which leaves this mode on
        build.around_build.append(torch.inference_mode)


def observe(build: Build, value: str) -> Seen:
    seen = "inference_mode" if build.witness.inference_mode else "no_grad"
    return Seen(seen, "torch.is_inference_mode_enabled() at the denoiser's first call")


GRAD_MODE = Toggle(
    name="grad_mode",
    phase=Phase.MODIFY,
    values="no_grad | inference_mode",
    default="no_grad",
    parse=one_of("no_grad", "inference_mode"),
    apply=apply,
    observe=observe,
    cost="none",
    about="Neither records gradients; inference_mode also drops the version counters of tensors.\n"
    "It saves a little time in each operator, so only small models on a fast device notice.",
    source="Speed Optimizations Guide, 7; docs: torch, 'torch.autograd.grad_mode.inference_mode'",
    tolerance=0.0,
    code=unless("no_grad", around="torch.inference_mode()", imports=("import torch",)),
)
