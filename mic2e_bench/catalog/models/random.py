"""The published architecture at full size with random weights: real work for speed and memory, pictures of noise.

Made from its configuration straight on the device and in the asked precision; no float32 copy ever exists. Random
numbers are drawn many times faster on a GPU, so what must begin in main memory is made there too, part by part.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from mic2e_bench import paths
from mic2e_bench.catalog.models import sources
from mic2e_bench.catalog.pipeline import Build, Pipeline, class_of
from mic2e_bench.machine import probes

SEED = 0


def assemble(build: Build) -> Any:
    """A pipeline of full-size random components, with its ``unweighted`` parts."""
    torch.manual_seed(SEED)
    dtype = build.load["dtype"]
    wanted = build.pipeline.architecture(build.load)
    made = {}
    for name, (path, config) in wanted.items():
        made[name] = component(path, config, build.device, dtype)
        if _begins_in_main_memory(build):
            made[name].to("cpu")
            probes.start_afresh(build.device)  # nothing of this is a peak of loading
    return build.pipeline.assembled({**made, **unweighted(build.pipeline)}, build.load)


def _begins_in_main_memory(build: Build) -> bool:
    """Whether the weights must not be on the device when they are loaded, as those of a file are not.

    What is offloaded was never there as a whole; bitsandbytes quantises on the way to the device, and only then.
    """
    asked = build.settings.get("offload", "none"), build.settings.get("quantize", "none")
    return build.device.startswith("cuda") and asked != ("none", "none")


def component(path: str, config: Mapping[str, Any], device: str, dtype: torch.dtype) -> torch.nn.Module:
    """One module of class ``path`` with this configuration, in evaluation mode."""
    kind = class_of(path)
    config_class = getattr(kind, "config_class", None)
    with made_in(device, dtype):
        made = kind(config_class(**config)) if config_class else kind(**config)
    for parameter in made.parameters():
        # a few published parameters are created empty and only ever loaded
        if not torch.isfinite(parameter).all() or (parameter.dtype != dtype and parameter.is_floating_point()):
            parameter.data = torch.randn(parameter.shape, device=device, dtype=dtype) * 0.02
    return made.requires_grad_(False).eval()


@contextlib.contextmanager
def made_in(device: str, dtype: torch.dtype) -> Iterator[None]:
    """Modules created in the block are born on ``device`` in ``dtype``."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


def unweighted(pipeline: Pipeline) -> Mapping[str, Any]:
    """The parts that have no weights: tokenizers and scheduler. Raises ``BadInput`` where nothing says them."""
    sources.check_unweighted(pipeline, "tokenizers")
    if pipeline.unweighted:
        return pipeline.unweighted()
    folder = paths.BUNDLED / pipeline.name
    found: dict[str, Any] = {}
    index = json.loads(path.read_text()) if (path := folder / "model_index.json").is_file() else {}
    for name, entry in index.items():
        if name.startswith(("tokenizer", "scheduler")) and isinstance(entry, list) and entry[0]:
            found[name] = class_of(".".join(entry)).from_pretrained(folder / name)
    return found
