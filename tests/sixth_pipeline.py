"""Stable Diffusion, made tiny: text to image with random weights.

As a file in ``mic2e_bench/catalog/pipelines/`` it is all that there is to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mic2e_bench.catalog import plain_code
from mic2e_bench.catalog.pipeline import Conflict, Pipeline
from mic2e_bench.catalog.plain_code import Written

if TYPE_CHECKING:
    from PIL import Image

    from mic2e_bench.catalog.pipeline import Build, Item

TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 520}
UNET = {
    "block_out_channels": (32, 64),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "layers_per_block": 1,
    "cross_attention_dim": 32,
}
VAE = {
    "block_out_channels": (8, 8, 16, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 4,
}


def unweighted() -> dict[str, Any]:
    """A published model's tokenizer is in its folder; this one, of letters, is made here."""
    from diffusers import DDIMScheduler
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(33, 127)]
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
    tokenizer = CLIPTokenizer({token: i for i, token in enumerate(tokens)}, [], model_max_length=77)
    checker = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    return {"tokenizer": tokenizer, "scheduler": DDIMScheduler(), **checker}


def call(build: Build, item: Item, seed: int) -> list[Image.Image]:
    from mic2e_bench.catalog.models.calling import generators, noise, per_image

    height, width = build.call["resolution"]
    drawing, scale = generators(build, seed), build.pipe.vae_scale_factor
    result = build.pipe(
        prompt=per_image(build, item.caption),
        height=height,
        width=width,
        num_inference_steps=build.call["steps"],
        guidance_scale=build.call["guidance"],
        generator=drawing,
        latents=noise(build, drawing, build.pipe.unet.config.in_channels, height // scale, width // scale),
        **build.step_arguments(),
    )
    return result.images


def written(settings: Mapping[str, Any]) -> Written:
    height, width = settings["resolution"]
    latents = plain_code.latents(settings, "pipe.unet.config.in_channels", str(height), str(width))
    arguments = [f"prompt={plain_code.several(settings, 'PROMPT')}", f"height={height}", f"width={width}"]
    arguments += [*plain_code.numbers(settings), "generator=generator", *(["latents=latents"] if latents else [])]
    return Written(
        imports=(plain_code.TORCH,),
        prepare="\n".join([plain_code.generator(settings), *latents]),
        call=plain_code.written_call("pipe", arguments),
        needs=("PROMPT",),
    )


PIPELINE = Pipeline(
    name="tiny-sd",
    task="generation",
    about="text to image, tiny",
    hub="nobody/tiny-sd",
    class_path="diffusers.StableDiffusionPipeline",
    options={"use_safetensors": True},
    denoiser="unet",
    components=("text_encoder", "unet", "vae"),
    needs=("caption",),
    size="height_width",
    defaults={"steps": 20, "guidance": 7.5, "resolution": 512},
    call=call,
    written=written,
    architecture=lambda arguments: {
        "text_encoder": ("transformers.CLIPTextModel", TEXT),
        "unet": ("diffusers.UNet2DConditionModel", UNET),
        "vae": ("diffusers.AutoencoderKL", VAE),
    },
    unweighted=unweighted,
    conflicts=(
        Conflict(
            ("quantize",),
            lambda settings, pipeline: settings["quantize"] == "bnb-nf4",
            "4-bit weights share a scale by 64, and this model has layers of 32",
        ),
    ),
)
