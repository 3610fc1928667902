"""Z-Image-Turbo: text to image in nine steps, without guidance."""

from __future__ import annotations

from mic2e_bench.catalog import plain_code
from mic2e_bench.catalog.models.published import FLUX_VAE, QWEN3_4B
from mic2e_bench.catalog.pipeline import Build, Conflict, Item, Pictures, Pipeline, Settings
from mic2e_bench.catalog.plain_code import Written
from mic2e_bench.catalog.prompts import Reader

MESSAGE = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"  # as the tokenizer's chat template has it


def call(build: Build, item: Item, seed: int) -> Pictures:
    from mic2e_bench.catalog.models.calling import generators, per_image

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


def written(settings: Settings) -> Written:
    height, width = settings["resolution"]
    arguments = [f"prompt={plain_code.several(settings, 'PROMPT')}", f"height={height}", f"width={width}"]
    arguments += [*plain_code.numbers(settings), "generator=generator"]
    return Written(
        imports=(plain_code.TORCH,),
        prepare=plain_code.generator(settings),
        call=plain_code.written_call("pipe", arguments),
        needs=("PROMPT",),
    )


CONFLICTS = (
    Conflict(
        ("engine",),
        lambda s, p: s["engine"].startswith("onnx"),
        "the ONNX exporter of PyTorch 2.10 cannot index complex tensors, as Z-Image's rotary embedding does",
    ),
    Conflict(
        ("scheduler",),
        lambda s, p: s["scheduler"] == "flow-unipc",
        "the pipeline gives its noise levels as a list, and diffusers' UniPC multiplies them as an array",
    ),
    Conflict(
        ("step_cache",),
        lambda s, p: not s["step_cache"].startswith(("none", "cache-dit")),
        "Z-Image's transformer has no enable_cache in diffusers 0.42; cache-dit supports it",
    ),
)

PIPELINE = Pipeline(
    name="z-image-turbo",
    task="generation",
    about="text to image in nine steps",
    hub="Tongyi-MAI/Z-Image-Turbo",
    class_path="diffusers.ZImagePipeline",
    folders=("ZImageImg2ImgPipeline", "ZImageInpaintPipeline"),
    options={"use_safetensors": True},
    denoiser="transformer",
    components=("text_encoder", "transformer", "vae"),
    needs=("caption",),
    readers=(Reader("caption", "tokenizer", 512, form=MESSAGE),),
    size="height_width",
    defaults={"steps": 9, "guidance": 0.0, "resolution": 1024},
    call=call,
    written=written,
    architecture=lambda arguments: {
        "text_encoder": QWEN3_4B,
        "transformer": ("diffusers.ZImageTransformer2DModel", {}),
        "vae": FLUX_VAE,
    },
    family="transformer",
    guides_above=0.0,
    fuses_qkv=False,
    conflicts=CONFLICTS,
)
