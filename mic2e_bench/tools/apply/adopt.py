"""A pipeline that somebody else loaded, as a build that toggles can work on."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.pipeline import Build, Pipeline
from mic2e_bench.catalog.toggles.precision import DTYPES
from mic2e_bench.errors import BadInput


def name_of(pipe: Any) -> str:
    """The name of the pipeline that a live object is. Raises ``BadInput`` where its class does not tell."""
    known = registry.pipelines()
    found = [name for name, pipeline in known.items() if pipeline.class_name == type(pipe).__name__]
    if len(found) != 1:
        who = "several pipelines are" if found else "no pipeline is"
        names = ", ".join(found or known)
        raise BadInput(f"apply: {who} known by the class {type(pipe).__name__}: give pipeline=, one of {names}.")
    return found[0]


def around(pipe: Any, pipeline: Pipeline) -> Build:
    """A build around a live pipeline, with the device and dtype of its denoiser. Raises ``BadInput``."""
    import torch

    build = Build(pipeline, pipe=pipe, model={"source": "live"})
    absent = [name for name in pipeline.components if name not in build.modules()]
    if absent:
        raise BadInput(f"apply: this {type(pipe).__name__} has no {', '.join(absent)}, which {pipeline.name} needs.")
    parameters = [p for p in build.denoiser.parameters() if p.is_floating_point()]
    build.device = parameters[0].device.type if parameters else "cpu"
    counts = Counter({torch.float32: 0})
    for parameter in parameters:
        counts[parameter.dtype] += parameter.numel()
    build.load["dtype"] = counts.most_common(1)[0][0]
    if pipeline.task == "segmentation":
        build.load["prompt_kind"] = pipe.prompt_kind
    return build


def facts(build: Build) -> dict[str, Any]:
    """What the live object itself says of settings."""
    names = {name: key for key, name in DTYPES.items()}
    dtype = str(build.load["dtype"]).removeprefix("torch.")
    found = {"device": build.device} | ({"precision": names[dtype]} if dtype in names else {})
    return found | ({"prompt_kind": build.load["prompt_kind"]} if "prompt_kind" in build.load else {})
