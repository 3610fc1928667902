"""What the calls of pipelines have in common, as code a person can read: the same as ``models/calling`` does."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OPENING = "from mic2e_bench.pictures import open_picture"
OPEN, OPEN_MASK = "open_picture(IMAGE)", "open_picture(MASK, mask=True)"
PIL = "from PIL import Image"
TORCH = "import torch"
# what code of plain libraries has instead of the workbench's ``open_picture``, with ``opening_functions``
OPENING_PLAIN = ("import io", "import numpy as np", "from PIL import Image, ImageChops, ImageCms")
OPEN_PLAIN, OPEN_MASK_PLAIN = "as_seen(Image.open(IMAGE))", "as_mask(Image.open(MASK))"
RESIZE = '''
def resize(picture, side, filter):
    """Shrink to a short side of `side` pixels, both sides rounded up to multiples of 16."""
    short = max(min(picture.size), side)
    return picture.resize([-(-(length * side // short) // 16) * 16 for length in picture.size], filter)
'''


@dataclass(frozen=True)
class Written:
    """The parts of a snippet that are a pipeline's own.

    ``prepare`` are statements before the call, ``call`` an expression, ``after`` statements that make of ``result`` the
    list ``pictures``. ``imports`` are whole import statements; that of the pipeline's class comes by itself, with
    ``remark`` as its comment. ``load`` is a function (default: the class's ``from_pretrained``), ``options`` more
    arguments for it than the pipeline's. ``functions`` are definitions, ``needs`` of IMAGE, MASK and PROMPT.
    """

    imports: tuple[str, ...]
    prepare: str
    call: str
    needs: tuple[str, ...]
    after: str = "pictures = result.images"
    remark: str = ""
    load: str = ""
    options: tuple[str, ...] = ()
    functions: str = ""


def several(settings: Mapping[str, Any], one: str) -> str:
    """A value for one image, or a list of it for several."""
    return one if settings["batch"] == 1 else f"[{one}] * {settings['batch']}"


def generator(settings: Mapping[str, Any]) -> str:
    """The statement that makes ``generator``."""
    if settings["batch"] == 1:
        return "generator = torch.Generator().manual_seed(SEED)"
    made = f"[torch.Generator().manual_seed(SEED + index) for index in range({settings['batch']})]"
    return f"generator = {made}  # an image, a seed"


def latents(settings: Mapping[str, Any], channels: str, height: str, width: str) -> list[str]:
    """Statements that make ``latents``; none in float32, where pipelines draw just this, as they do not in 16 bits."""
    if settings["precision"] == "fp32":
        return []
    dtype = {"fp16": "float16", "bf16": "bfloat16"}[settings["precision"]]
    drawn = "torch.randn(shape, generator=generator)"
    if settings["batch"] > 1:
        drawn = "torch.cat([torch.randn(shape, generator=one) for one in generator])"
    return [
        "# drawn in float32, so that a seed is the same noise in every precision",
        "scale = pipe.vae_scale_factor",
        f"shape = (1, {channels}, {height} // scale, {width} // scale)",
        f"latents = {drawn}.to(torch.{dtype})",
    ]


def opening_functions() -> str:
    """The source of ``as_seen`` and ``as_mask``, which is one and the same here and there."""
    from mic2e_bench import pictures  # Pillow is not needed by who only lists pipelines

    return "\n\n".join(map(inspect.getsource, pictures.STANDALONE))


def edit(settings: Mapping[str, Any], image: str = OPEN, mask: str = OPEN_MASK) -> list[str]:
    """The statements that make ``original``, ``image`` and ``mask``; ``BACK`` is what undoes the resizing.

    ``image`` and ``mask`` are expressions; by default the workbench opens them, where it is imported anyway.
    """
    side, name = settings["resolution"], settings["resample"].upper()
    return [
        f"original = {image}",
        f"image = resize(original, {side}, Image.Resampling.{name})",
        f"mask = resize({mask}, {side}, Image.Resampling.NEAREST)",
    ]


BACK = "pictures = [picture.resize(original.size, Image.Resampling.BICUBIC) for picture in result.images]"


def numbers(settings: Mapping[str, Any]) -> list[str]:
    """Steps and guidance as arguments of the call."""
    return [f"num_inference_steps={settings['steps']}", f"guidance_scale={settings['guidance']}"]


def written_call(function: str, arguments: list[str]) -> str:
    """A call, an argument a line."""
    return f"{function}(\n" + "".join(f"    {argument},\n" for argument in arguments) + ")"
