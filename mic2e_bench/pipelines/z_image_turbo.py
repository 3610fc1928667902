"""Z-Image-Turbo: text to image in nine steps, without guidance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mic2e_bench.models.published import FLUX_VAE, QWEN3_4B
from mic2e_bench.pipeline import Pipeline

if TYPE_CHECKING:
    from PIL import Image

    from mic2e_bench.build import Build
    from mic2e_bench.inputs import Item


def load(source: str, **arguments: Any) -> Any:
    from diffusers import ZImagePipeline

    return ZImagePipeline.from_pretrained(source, use_safetensors=True, **arguments)


def assemble(components: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
    from diffusers import ZImagePipeline

    return ZImagePipeline(**components)


def call(build: Build, item: Item, seed: int) -> list[Image.Image]:
    from mic2e_bench.batches import generators, per_image

    height, width = build.call["resolution"]
    result = build.pipe(
        prompt=per_image(build, item.caption),  # made anew for each call: the pipeline changes a list in place
        height=height,
        width=width,
        num_inference_steps=build.call["steps"],
        guidance_scale=build.call["guidance"],
        generator=generators(build, seed),
        **build.step_arguments(),
    )
    return result.images


PIPELINE = Pipeline(
    name="z-image-turbo",
    task="generation",
    about="text to image in nine steps",
    hub="Tongyi-MAI/Z-Image-Turbo",
    denoiser="transformer",
    components=("text_encoder", "transformer", "vae"),
    needs=("caption",),
    size="height_width",
    defaults={"steps": 9, "guidance": 0.0, "resolution": 1024},
    load=load,
    call=call,
    architecture=lambda arguments: {
        "text_encoder": QWEN3_4B,
        "transformer": ("diffusers.ZImageTransformer2DModel", {}),
        "vae": FLUX_VAE,
    },
    assemble=assemble,
    family="transformer",
)
