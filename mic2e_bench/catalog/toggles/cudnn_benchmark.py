"""cuDNN tries its convolution algorithms and keeps the fastest."""

from __future__ import annotations

from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.catalog.toggle import Phase, Seen, Toggle, on_off, unless


def apply(build: Build, value: bool) -> None:
    import torch

    if value:
        torch.backends.cudnn.benchmark = True


def observe(build: Build, value: bool) -> Seen:
    import torch

    seen = torch.backends.cudnn.benchmark
    how = f"torch.backends.cudnn.benchmark {seen}"
    if value and build.device != "cuda":
        return Seen(False, how, applied=False, reason=f"cuDNN is for CUDA devices; the device is {build.device}")
    return Seen(seen, how)


CUDNN_BENCHMARK = Toggle(
    name="cudnn_benchmark",
    phase=Phase.MODIFY,
    values="false | true",
    default=False,
    parse=on_off,
    apply=apply,
    observe=observe,
    cost="rounding",
    about="At the first convolution of each shape cuDNN times its algorithms and keeps the fastest.\n"
    "It pays where sizes repeat: the first call is slower, and a new size is timed anew.",
    source="Speed Optimizations Guide, 2; docs: torch, 'torch.backends.cudnn.benchmark'",
    tolerance=0.02,
    code=unless(False, lines="torch.backends.cudnn.benchmark = True", imports=("import torch",)),
)
