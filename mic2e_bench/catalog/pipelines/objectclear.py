"""ObjectClear: an object and its shadow are removed (arXiv 2505.22636)."""

from __future__ import annotations

from mic2e_bench.catalog import plain_code
from mic2e_bench.catalog.models.published import CLIP_VIT_L, SDXL_PARTS
from mic2e_bench.catalog.pipeline import Build, Item, Pictures, Pipeline, Settings
from mic2e_bench.catalog.plain_code import Written

POSTFUSE = ("mic2e_bench.catalog.models.objectclear.postfuse.PostfuseModule", {"text_width": 2048, "image_width": 768})


def call(build: Build, item: Item, seed: int) -> Pictures:
    from mic2e_bench.catalog.models.calling import generators, per_image, to_input_size, to_model_size

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


def written(settings: Settings) -> Written:
    arguments = [f"image={plain_code.several(settings, 'image')}", f"mask_image={plain_code.several(settings, 'mask')}"]
    arguments += ["width=image.width", "height=image.height", *plain_code.numbers(settings), "generator=generator"]
    resize = "from mic2e_bench.catalog.models.objectclear.inputs import resize_by_short_side as resize"
    return Written(
        imports=(plain_code.TORCH, plain_code.PIL, plain_code.OPENING, resize),
        remark="diffusers has none",
        prepare="\n".join([*plain_code.edit(settings), plain_code.generator(settings)]),
        call=plain_code.written_call("pipe", arguments),
        after=plain_code.BACK,
        needs=("IMAGE", "MASK"),
    )


PIPELINE = Pipeline(
    name="objectclear",
    task="removal",
    about="removes an object with its shadow and reflection",
    hub="jixin0101/ObjectClear",
    class_path="mic2e_bench.catalog.models.objectclear.pipeline.ObjectClearPipeline",
    denoiser="unet",
    components=("text_encoder", "text_encoder_2", "image_prompt_encoder", "postfuse_module", "unet", "vae"),
    needs=("image", "mask"),
    size="short_side",
    defaults={"steps": 20, "guidance": 2.5, "resolution": 512, "resample": "bicubic"},
    call=call,
    written=written,
    architecture=lambda arguments: {**SDXL_PARTS, "image_prompt_encoder": CLIP_VIT_L, "postfuse_module": POSTFUSE},
    service={
        "steps": "object_clear_num_inference_steps",
        "guidance": "object_clear_guidance_scale",
        "resolution": "object_clear_resolution",
    },
)
