"""ObjectClear: an object and its shadow are removed (arXiv 2505.22636)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mic2e_bench.models.published import CLIP_VIT_L, SDXL_PARTS
from mic2e_bench.pipeline import Pipeline

if TYPE_CHECKING:
    from PIL import Image

    from mic2e_bench.build import Build
    from mic2e_bench.inputs import Item

POSTFUSE = ("mic2e_bench.objectclear.postfuse.PostfuseModule", {"text_width": 2048, "image_width": 768})


def load(source: str, **arguments: Any) -> Any:
    from mic2e_bench.objectclear.pipeline import ObjectClearPipeline

    return ObjectClearPipeline.from_pretrained(source, **arguments)


def assemble(components: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
    from mic2e_bench.objectclear.pipeline import ObjectClearPipeline

    return ObjectClearPipeline(**components)


def call(build: Build, item: Item, seed: int) -> list[Image.Image]:
    from mic2e_bench.batches import generators, per_image
    from mic2e_bench.editing import to_input_size, to_model_size

    image, mask = to_model_size(build, item)
    result = build.pipe(
        image=per_image(build, image),
        mask_image=per_image(build, mask),
        width=image.width,
        height=image.height,
        num_inference_steps=build.call["steps"],
        guidance_scale=build.call["guidance"],
        generator=generators(build, seed),
        **build.step_arguments(),
    )
    return to_input_size(result.images, item)


PIPELINE = Pipeline(
    name="objectclear",
    task="removal",
    about="removes an object with its shadow and reflection",
    hub="jixin0101/ObjectClear",
    denoiser="unet",
    components=("text_encoder", "text_encoder_2", "image_prompt_encoder", "postfuse_module", "unet", "vae"),
    needs=("image", "mask"),
    size="short_side",
    defaults={"steps": 20, "guidance": 2.5, "resolution": 512, "resample": "bicubic"},
    load=load,
    call=call,
    architecture=lambda arguments: {**SDXL_PARTS, "image_prompt_encoder": CLIP_VIT_L, "postfuse_module": POSTFUSE},
    assemble=assemble,
)
