"""One real pipeline: how it loads, what it takes, how the service calls it, and which part is the denoiser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from PIL import Image

    from mic2e_bench.build import Build
    from mic2e_bench.inputs import Item


@dataclass(frozen=True)
class Pipeline:
    """One real pipeline.

    ``load(source, **arguments)`` gets a folder or hub id and the arguments of ``from_pretrained`` (``dtype``,
    ``revision``, ``low_cpu_mem_usage``); it returns the live pipeline. ``architecture(arguments)`` is the
    published size, a mapping from component to (class path, configuration); ``assemble(components, arguments)`` makes
    a pipeline of such components. ``call(build, item, seed)`` is the whole of what a user waits for, resizing included,
    and returns a list of images (masks for segmentation).
    """

    name: str
    task: Literal["removal", "inpainting", "generation", "segmentation"]
    about: str
    hub: str
    denoiser: str
    components: tuple[str, ...]
    needs: tuple[str, ...]  # fields of an input item: image, mask, prompt, caption, text, points, box
    size: Literal["short_side", "height_width", "fixed"]
    defaults: Mapping[str, Any]
    load: Callable[..., Any]
    call: Callable[[Build, Item, int], list[Image.Image]]
    architecture: Callable[[Mapping[str, Any]], Mapping[str, tuple[str, Mapping[str, Any]]]]
    assemble: Callable[[Mapping[str, Any], Mapping[str, Any]], Any]
    multiple: int = 16  # both sides of the image that the model sees are multiples of this
    family: Literal["unet", "transformer", "segmenter"] = "unet"
