"""FLUX.1-schnell: text to image in four steps, without guidance."""

from __future__ import annotations

import math

from mic2e_bench.catalog import plain_code
from mic2e_bench.catalog.models.published import CLIP_TEXT_L, FLUX_VAE, T5_XXL
from mic2e_bench.catalog.pipeline import Build, Item, Pictures, Pipeline, Settings
from mic2e_bench.catalog.plain_code import Written
from mic2e_bench.catalog.prompts import Reader

MOST_TOKENS = 256


def call(build: Build, item: Item, seed: int) -> Pictures:
    from mic2e_bench.catalog.models.calling import generators, noise, per_image

    height, width = build.call["resolution"]
    drawing, scale = generators(build, seed), build.pipe.vae_scale_factor
    latents = noise(build, drawing, build.pipe.transformer.config.in_channels // 4, height // scale, width // scale)
    result = build.pipe(
        prompt=per_image(build, item.caption),
        height=height,
        width=width,
        num_inference_steps=build.call["steps"],
        guidance_scale=build.call["guidance"],
        max_sequence_length=MOST_TOKENS,
        generator=drawing,
        latents=build.pipe._pack_latents(latents, *latents.shape),
        **build.step_arguments(),
    )
    return result.images


def written(settings: Settings) -> Written:
    height, width = settings["resolution"]
    latents = plain_code.latents(settings, "pipe.transformer.config.in_channels // 4", str(height), str(width))
    arguments = [f"prompt={plain_code.several(settings, 'PROMPT')}", f"height={height}", f"width={width}"]
    arguments += [*plain_code.numbers(settings), f"max_sequence_length={MOST_TOKENS}", "generator=generator"]
    arguments += ["latents=pipe._pack_latents(latents, *latents.shape)"] if latents else []
    return Written(
        imports=(plain_code.TORCH,),
        prepare="\n".join([plain_code.generator(settings), *latents]),
        call=plain_code.written_call("pipe", arguments),
        needs=("PROMPT",),
    )


PIPELINE = Pipeline(
    name="flux-schnell",
    task="generation",
    about="text to image in four steps",
    hub="black-forest-labs/FLUX.1-schnell",
    class_path="diffusers.FluxPipeline",
    folders=("FluxImg2ImgPipeline", "FluxInpaintPipeline"),
    options={"use_safetensors": True},
    denoiser="transformer",
    components=("text_encoder", "text_encoder_2", "transformer", "vae"),
    needs=("caption",),
    readers=(Reader("caption", "tokenizer", 77), Reader("caption", "tokenizer_2", MOST_TOKENS)),
    size="height_width",
    defaults={"steps": 4, "guidance": 0.0, "resolution": 1024},
    call=call,
    written=written,
    architecture=lambda arguments: {
        "text_encoder": CLIP_TEXT_L,
        "text_encoder_2": T5_XXL,
        "transformer": ("diffusers.FluxTransformer2DModel", {}),
        "vae": FLUX_VAE,
    },
    family="transformer",
    guides_above=math.inf,
    service={
        "steps": "flux_num_inference_steps",
        "guidance": "flux_guidance_scale",
        "resolution": ("flux_height", "flux_width"),
    },
)
