"""One real pipeline: how it loads, what it takes, how the service calls it, and which part is the denoiser."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from PIL import Image

    from mic2e_bench.build import Build
    from mic2e_bench.export.calls import Written
    from mic2e_bench.inputs import Item

Task = Literal["removal", "inpainting", "generation", "segmentation"]
TASKS: tuple[str, ...] = get_args(Task)


@dataclass(frozen=True)
class Conflict:
    """A row: the settings it speaks of, a test over the resolved settings and the pipeline, and the reason."""

    settings: tuple[str, ...]
    clash: Callable[[Mapping[str, Any], Pipeline], bool]
    reason: str


@dataclass(frozen=True)
class Pipeline:
    """One real pipeline: all that the workbench knows of it. What has a default is for pipelines that differ there.

    What it is and takes:

    - ``name`` in params files and tables, ``about`` in a line, ``hub`` the id of its weights, ``task``.
    - ``needs``: fields of an input item: image, mask, prompt, caption, text, points, box.
    - ``size``: what ``resolution`` means to it; ``multiple``: both sides that the model sees are multiples of this.
    - ``defaults``: settings, by toggle, that are not the toggle's own default.

    Its parts:

    - ``class_path``: the dotted path of the live pipeline's class, of diffusers or our own. It is loaded, recognised on
      a live object, imported before children are forked, and named in exported code.
    - ``components``: its torch modules by attribute; ``denoiser``: the one that is called at every step.
    - ``family``: what the denoiser is; many toggles ask.
    - ``architecture(arguments)``: the published size, from component to (class path, configuration).
    - ``unweighted()``: what it needs beside the components to be assembled without stored weights: tokenizers and
      scheduler, by name. Default: those of the bundled model of its name.

    How it is loaded and called. ``arguments`` are those of ``from_pretrained`` (``dtype``, ``revision``, ...):

    - ``options``: more of them, the same for every load.
    - ``load(source, **arguments)``: the live pipeline of a folder or hub id. Default: the class's ``from_pretrained``.
    - ``assemble(components, arguments)``: one of such components. Default: the class, called with them.
    - ``call(build, item, seed)``: the whole of what a user waits for, resizing included; returns a list of images
      (masks for segmentation).
    - ``written(settings)``: the same call as plain code, for ``export``. Default: there is none.

    What toggles and tables ask:

    - ``guides_above``: the guidance scale above which it guides (``math.inf``: never).
    - ``fuses_qkv``: whether the denoiser has ``fuse_qkv_projections``.
    - ``conflicts``: rows that hold for this pipeline only, told before those of the general table.
    - ``service``: the inference service's field, or fields, of a setting; ``None``: the service does not have it.
    """

    name: str
    task: Task
    about: str
    hub: str
    class_path: str
    denoiser: str
    components: tuple[str, ...]
    needs: tuple[str, ...]
    size: Literal["short_side", "height_width", "fixed"]
    defaults: Mapping[str, Any]
    call: Callable[[Build, Item, int], list[Image.Image]]
    architecture: Callable[[Mapping[str, Any]], Mapping[str, tuple[str, Mapping[str, Any]]]]
    options: Mapping[str, Any] = field(default_factory=dict)
    load: Callable[..., Any] | None = None
    assemble: Callable[[Mapping[str, Any], Mapping[str, Any]], Any] | None = None
    unweighted: Callable[[], Mapping[str, Any]] | None = None
    written: Callable[[Mapping[str, Any]], Written] | None = None
    multiple: int = 16
    family: Literal["unet", "transformer", "segmenter"] = "unet"
    guides_above: float = 1.0
    fuses_qkv: bool = True
    conflicts: tuple[Conflict, ...] = ()
    service: Mapping[str, str | tuple[str, ...]] | None = None

    @property
    def class_name(self) -> str:
        """The last part of ``class_path``."""
        return self.class_path.rpartition(".")[2]

    def loaded(self, source: str, **arguments: Any) -> Any:
        """The live pipeline from a folder or hub id. Raises what the libraries raise."""
        load = self.load or class_of(self.class_path).from_pretrained
        return load(source, **self.options, **arguments)

    def assembled(self, parts: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
        """A live pipeline of these components, tokenizers and scheduler, for these arguments of loading."""
        if self.assemble:
            return self.assemble(parts, arguments)
        return class_of(self.class_path)(**parts)

    def guides(self, scale: float) -> bool:
        """Whether this guidance scale makes it guide."""
        return scale > self.guides_above


def class_of(path: str) -> Any:
    """The class at a dotted path such as ``diffusers.FluxPipeline``; imports its module."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)
