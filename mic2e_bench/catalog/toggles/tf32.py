"""TensorFloat-32: matrix units that round float32 inputs to 10 bits of mantissa."""

from __future__ import annotations

from typing import Any

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle, one_of

FLAGS = {"none": (False, False), "convolutions": (False, True), "all": (True, True)}  # matrix products, convolutions
DEFAULT = "convolutions"


def parse(value: Any, pipeline: Any) -> str:
    """``true`` is ``all`` and ``false`` is ``none``."""
    value = {True: "all", False: "none"}.get(value, value) if isinstance(value, bool) else value
    return one_of(*FLAGS)(value, pipeline)


def apply(build: Build, value: str) -> None:
    import torch

    if value != DEFAULT:  # PyTorch's own default is left untouched
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = FLAGS[value]


def observe(build: Build, value: str) -> Seen:
    import torch

    flags = (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
    seen = next((name for name, pair in FLAGS.items() if pair == flags), "matrix products only")
    how = f"torch.backends: cuda.matmul.allow_tf32 {flags[0]}, cudnn.allow_tf32 {flags[1]}"
    if reason := "" if value == DEFAULT else _idle(build):
        return Seen(seen, how, applied=False, reason=reason)
    return Seen(seen, how)


def _idle(build: Build) -> str:
    """Why the flags decide nothing here, or an empty text."""
    import torch

    if build.device != "cuda":
        return f"TensorFloat-32 is a format of CUDA devices; the device is {build.device}"
    if torch.cuda.get_device_capability() < (8, 0):
        return f"{torch.cuda.get_device_name()} has no TensorFloat-32 units"
    dtypes = {dtype for _, dtype in build.witness.denoiser}
    return "" if "float32" in dtypes else f"the denoiser computes in {', '.join(sorted(dtypes))}, not in float32"


def code(value: str, settings: Settings, pipeline: Pipeline) -> Code:
    if value == DEFAULT:
        return Code()
    products, convolutions = FLAGS[value]
    lines = (
        f"torch.backends.cuda.matmul.allow_tf32 = {products}",
        f"torch.backends.cudnn.allow_tf32 = {convolutions}",
    )
    return Code(lines="\n".join(lines), imports=("import torch",))


TF32 = Toggle(
    name="tf32",
    phase=Phase.MODIFY,
    values="none | convolutions | all (or false, true)",
    default=DEFAULT,
    parse=parse,
    apply=apply,
    observe=observe,
    cost="rounding",
    about="Float32 work on TensorFloat-32 units of NVIDIA devices from Ampere on; nothing where weights are 16-bit.\n"
    "PyTorch's default uses them for convolutions only.",
    source="Speed Optimizations Guide, 2; docs: torch, 'CUDA semantics: TensorFloat-32'",
    tolerance=0.02,
    code=code,
)
