"""Components as their configurations describe them: real modules, real shapes and dtypes, no memory.

Modules are made on the meta device; then every parameter becomes one number that is broadcast to its shape, because
pipelines place their inputs where a module's parameters are, and must find a CPU there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mic2e_bench.catalog.models import random, sources
from mic2e_bench.catalog.pipeline import Pipeline, class_of
from mic2e_bench.errors import BadInput


def components(pipeline: Pipeline, model: Mapping[str, Any], load: Mapping[str, Any]) -> dict[str, nn.Module]:
    """The components on the meta device, as ``from_pretrained`` would type them for ``load["dtype"]``.

    ``model`` is what ``sources.resolve`` gives. For the hub only the published architecture is known without a
    download. Raises ``BadInput``.
    """
    wanted = pipeline.architecture(load)
    if model["source"] in ("bundled", "folder"):
        folder = Path(sources.location(model, pipeline)[0])
        made = {name: _from_folder(folder, name, path, load["dtype"]) for name, (path, _) in wanted.items()}
    elif model["source"] == "random" or model["id"] == pipeline.hub:
        made = {name: _made(path, config, load["dtype"]) for name, (path, config) in wanted.items()}
    else:
        raise BadInput(
            f"--model {model['id']}: its configuration is not here, and nothing is downloaded for an estimate. "
            f"Give published ({pipeline.hub}), bundled, or a folder."
        )
    if model["source"] != "random":  # random weights are made in one dtype; loading keeps what must be float32
        for module in made.values():
            _keep_float32(module, load["dtype"])
    return {name: module.requires_grad_(False).eval() for name, module in made.items()}


def _made(path: str, config: Mapping[str, Any], dtype: torch.dtype) -> nn.Module:
    kind = class_of(path)
    config_class = getattr(kind, "config_class", None)
    with random.made_in("meta", dtype):
        return kind(config_class(**config)) if config_class else kind(**config)


def _from_folder(folder: Path, name: str, path: str, dtype: torch.dtype) -> nn.Module:
    """A component of a saved pipeline, from its configuration alone (a segmenter lies in the folder itself)."""
    place = folder / name if (folder / name).is_dir() else folder
    if not (place / "config.json").is_file():
        return _from_shapes(place, path, dtype)
    kind = class_of(path)
    with random.made_in("meta", dtype):
        if hasattr(kind, "config_class"):
            return kind(_retyped(kind.config_class.from_pretrained(place), dtype))
        return kind.from_config(kind.load_config(place))


def _retyped(config: Any, dtype: torch.dtype) -> Any:
    """A stored configuration names the dtype that it was saved in, and inner models would be made in that."""
    config.dtype = dtype
    for name in getattr(config, "sub_configs", None) or ():
        if getattr(config, name, None) is not None:
            _retyped(getattr(config, name), dtype)
    return config


def _from_shapes(place: Path, path: str, dtype: torch.dtype) -> nn.Module:
    """ObjectClear's postfuse module is stored without a configuration; the shapes of its weights tell."""
    from safetensors import safe_open

    with safe_open(place / "model.safetensors", "pt") as file:
        shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118 (it is no dict)
    state = {key: torch.empty(shape, dtype=dtype, device="meta") for key, shape in shapes.items()}
    return class_of(path).from_state_dict(state)


def _keep_float32(module: nn.Module, dtype: torch.dtype) -> None:
    """What the libraries load in float32 whatever is asked (T5 keeps a product that overflows in float16)."""
    strict = set(getattr(module, "_keep_in_fp32_modules_strict", None) or ())
    kept = set(getattr(module, "_keep_in_fp32_modules", None) or ())
    # transformers keeps the second list for float16 only, diffusers for both
    if dtype == torch.bfloat16 and type(module).__module__.startswith("transformers."):
        kept = set()
    for name, parameter in list(module.named_parameters()):
        if dtype != torch.float32 and (kept | strict) & set(name.split(".")):
            parent, _, last = name.rpartition(".")
            setattr(module.get_submodule(parent), last, nn.Parameter(parameter.float(), requires_grad=False))


def hollow(module: nn.Module) -> nn.Module:
    """Put broadcast numbers on the CPU in the place of all tensors; what was shared stays shared."""
    stands: dict[int, torch.Tensor] = {}

    def stand(tensor: torch.Tensor) -> torch.Tensor:
        return stands.setdefault(id(tensor), torch.zeros((), dtype=tensor.dtype).expand(tensor.shape))

    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                made = stands.get(id(parameter))
                part._parameters[name] = stands[id(parameter)] = (
                    made if made is not None else nn.Parameter(stand(parameter), requires_grad=False)
                )
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = stand(buffer)
    return module


@contextmanager
def quiet(*names: str) -> Iterator[None]:
    """These loggers say errors only, for a while."""
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
