"""How each pipeline is loaded and called, as code a person can read; the same calls as ``pipelines/`` makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

PIL = "from PIL import Image"
TORCH = "import torch"
RESIZE = '''
def resize(picture, side, filter):
    """Shrink to a short side of `side` pixels, both sides rounded up to multiples of 16."""
    short = max(min(picture.size), side)
    return picture.resize([-(-(length * side // short) // 16) * 16 for length in picture.size], filter)
'''


@dataclass(frozen=True)
class Written:
    """The parts of a snippet that are a pipeline's own. ``load`` is a function, ``options`` more arguments for it.

    ``prepare`` are statements before the call, ``call`` an expression, ``after`` statements that make of ``result`` the
    list ``pictures``.
    """

    imports: tuple[str, ...]
    load: str
    prepare: str
    call: str
    after: str
    options: tuple[str, ...] = ()
    functions: str = ""
    needs: tuple[str, ...] = ()  # of IMAGE, MASK, PROMPT


def _several(settings: Mapping[str, Any], one: str) -> str:
    return one if settings["batch"] == 1 else f"[{one}] * {settings['batch']}"


def _generator(settings: Mapping[str, Any]) -> str:
    if settings["batch"] == 1:
        return "generator = torch.Generator().manual_seed(SEED)"
    made = f"[torch.Generator().manual_seed(SEED + index) for index in range({settings['batch']})]"
    return f"generator = {made}  # an image, a seed"


def _latents(settings: Mapping[str, Any], channels: str, height: str, width: str) -> list[str]:
    """In 16 bits the pipelines would draw other noise for the same seed; in float32 they draw just this."""
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


def _edit(settings: Mapping[str, Any]) -> list[str]:
    side, name = settings["resolution"], settings["resample"].upper()
    return [
        'original = Image.open(IMAGE).convert("RGB")',
        f"image = resize(original, {side}, Image.Resampling.{name})",
        f'mask = resize(Image.open(MASK).convert("L"), {side}, Image.Resampling.NEAREST)',
    ]


BACK = "pictures = [picture.resize(original.size, Image.Resampling.BICUBIC) for picture in result.images]"


def _numbers(settings: Mapping[str, Any]) -> list[str]:
    return [f"num_inference_steps={settings['steps']}", f"guidance_scale={settings['guidance']}"]


def written_call(function: str, arguments: list[str]) -> str:
    """A call, an argument a line."""
    return f"{function}(\n" + "".join(f"    {argument},\n" for argument in arguments) + ")"


def objectclear(settings: Mapping[str, Any]) -> Written:
    arguments = [f"image={_several(settings, 'image')}", f"mask_image={_several(settings, 'mask')}"]
    arguments += ["width=image.width", "height=image.height", *_numbers(settings), "generator=generator"]
    return Written(
        imports=(
            TORCH, PIL,
            "from mic2e_bench.objectclear.inputs import resize_by_short_side as resize",
            "from mic2e_bench.objectclear.pipeline import ObjectClearPipeline  # diffusers has none",
        ),
        load="ObjectClearPipeline.from_pretrained",
        prepare="\n".join([*_edit(settings), _generator(settings)]),
        call=written_call("pipe", arguments), after=BACK, needs=("IMAGE", "MASK"),
    )  # fmt: skip


def sdxl_inpaint(settings: Mapping[str, Any]) -> Written:
    latents = _latents(settings, "pipe.vae.config.latent_channels", "image.height", "image.width")
    arguments = [f"prompt={_several(settings, 'PROMPT')}", f"image={_several(settings, 'image')}"]
    arguments += [
        f"mask_image={_several(settings, 'mask')}",
        "width=image.width",
        "height=image.height",
        "strength=1.0",
    ]
    arguments += [*_numbers(settings), "generator=generator", *(["latents=latents"] if latents else [])]
    return Written(
        imports=(TORCH, PIL, "from diffusers import StableDiffusionXLInpaintPipeline"),
        load="StableDiffusionXLInpaintPipeline.from_pretrained",
        options=("use_safetensors=True", "add_watermarker=False"),
        prepare="\n".join([*_edit(settings), _generator(settings), *latents]),
        call=written_call("pipe", arguments), after=BACK, functions=RESIZE, needs=("IMAGE", "MASK", "PROMPT"),
    )  # fmt: skip


def flux_schnell(settings: Mapping[str, Any]) -> Written:
    height, width = settings["resolution"]
    latents = _latents(settings, "pipe.transformer.config.in_channels // 4", str(height), str(width))
    arguments = [f"prompt={_several(settings, 'PROMPT')}", f"height={height}", f"width={width}", *_numbers(settings)]
    arguments += ["max_sequence_length=256", "generator=generator"]
    arguments += ["latents=pipe._pack_latents(latents, *latents.shape)"] if latents else []
    return Written(
        imports=(TORCH, "from diffusers import FluxPipeline"),
        load="FluxPipeline.from_pretrained", options=("use_safetensors=True",),
        prepare="\n".join([_generator(settings), *latents]),
        call=written_call("pipe", arguments), after="pictures = result.images", needs=("PROMPT",),
    )  # fmt: skip


def z_image_turbo(settings: Mapping[str, Any]) -> Written:
    height, width = settings["resolution"]
    arguments = [f"prompt={_several(settings, 'PROMPT')}", f"height={height}", f"width={width}", *_numbers(settings)]
    return Written(
        imports=(TORCH, "from diffusers import ZImagePipeline"),
        load="ZImagePipeline.from_pretrained", options=("use_safetensors=True",),
        prepare=_generator(settings),
        call=written_call("pipe", [*arguments, "generator=generator"]),
        after="pictures = result.images", needs=("PROMPT",),
    )  # fmt: skip


def sam3(settings: Mapping[str, Any]) -> Written:
    kind = settings["prompt_kind"]
    given = {"text": "PROMPT, None, None", "points": "None, PROMPT, None", "box": "None, None, PROMPT"}[kind]
    return Written(
        imports=(PIL, "from mic2e_bench.segmenter import Segmenter  # model, processor and the union of instances"),
        load="Segmenter.load", options=(f'prompt_kind="{kind}"',),
        prepare='image = Image.open(IMAGE).convert("RGB")',
        call=f"pipe.batch(image, {given}, {settings['batch']})",
        after="pictures = result", needs=("IMAGE", "PROMPT"),
    )  # fmt: skip


CALLS: Mapping[str, Callable[[Mapping[str, Any]], Written]] = {
    "objectclear": objectclear,
    "sdxl-inpaint": sdxl_inpaint,
    "flux-schnell": flux_schnell,
    "z-image-turbo": z_image_turbo,
    "sam3": sam3,
}
