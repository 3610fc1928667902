"""SDXL inpainting: the masked part is painted anew after a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mic2e_bench.catalog import plain_code
from mic2e_bench.catalog.models.published import SDXL_PARTS
from mic2e_bench.catalog.pipeline import Build, Item, Pictures, Pipeline, Settings
from mic2e_bench.catalog.plain_code import Written
from mic2e_bench.catalog.prompts import Reader


def assemble(components: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
    from diffusers import StableDiffusionXLInpaintPipeline

    return StableDiffusionXLInpaintPipeline(**components, add_watermarker=False)


def call(build: Build, item: Item, seed: int) -> Pictures:
    from mic2e_bench.catalog.models.calling import generators, noise, per_image, to_input_size, to_model_size

    image, mask = to_model_size(build, item)
    drawing, scale = generators(build, seed), build.pipe.vae_scale_factor
    latents = noise(build, drawing, build.pipe.vae.config.latent_channels, image.height // scale, image.width // scale)
    result = build.pipe(
        prompt=per_image(build, item.prompt),
        image=per_image(build, image),
        mask_image=per_image(build, mask),
        width=image.width,
        height=image.height,
        strength=1.0,
        num_inference_steps=build.call["steps"],
        guidance_scale=build.call["guidance"],
        generator=drawing,
        latents=latents,
        **build.step_arguments(),
    )
    return to_input_size(result.images, item)


def written(settings: Settings) -> Written:
    latents = plain_code.latents(settings, "pipe.vae.config.latent_channels", "image.height", "image.width")
    arguments = [f"prompt={plain_code.several(settings, 'PROMPT')}", f"image={plain_code.several(settings, 'image')}"]
    arguments += [f"mask_image={plain_code.several(settings, 'mask')}", "width=image.width", "height=image.height"]
    arguments += ["strength=1.0", *plain_code.numbers(settings), "generator=generator"]
    arguments += ["latents=latents"] if latents else []
    edit = plain_code.edit(settings, plain_code.OPEN_PLAIN, plain_code.OPEN_MASK_PLAIN)
    return Written(
        imports=(plain_code.TORCH, *plain_code.OPENING_PLAIN),
        functions=plain_code.opening_functions() + plain_code.RESIZE,
        prepare="\n".join([*edit, plain_code.generator(settings), *latents]),
        call=plain_code.written_call("pipe", arguments),
        after=plain_code.BACK,
        needs=("IMAGE", "MASK", "PROMPT"),
    )


PIPELINE = Pipeline(
    name="sdxl-inpaint",
    task="inpainting",
    about="paints the masked part anew after a prompt",
    hub="diffusers/stable-diffusion-xl-1.0-inpainting-0.1",
    class_path="diffusers.StableDiffusionXLInpaintPipeline",
    folders=("StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline"),
    options={"use_safetensors": True, "add_watermarker": False},
    denoiser="unet",
    components=("text_encoder", "text_encoder_2", "unet", "vae"),
    needs=("image", "mask", "prompt"),
    readers=(Reader("prompt", "tokenizer", 77), Reader("prompt", "tokenizer_2", 77)),
    size="short_side",
    defaults={"steps": 30, "guidance": 7.5, "resolution": 1024, "resample": "bicubic"},
    call=call,
    written=written,
    architecture=lambda arguments: SDXL_PARTS,
    assemble=assemble,
)
