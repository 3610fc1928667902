"""SAM3: a phrase, points or a box to a mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mic2e_bench.catalog import plain_code
from mic2e_bench.catalog.pipeline import Build, Conflict, Item, Pictures, Pipeline, Settings
from mic2e_bench.catalog.plain_code import Written
from mic2e_bench.catalog.prompts import Reader
from mic2e_bench.errors import BadInput


def load(source: str, **arguments: Any) -> Any:
    from mic2e_bench.catalog.models.segmenter import Segmenter

    return Segmenter.load(source, **arguments)


def architecture(arguments: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    kind = "Sam3Model" if arguments["prompt_kind"] == "text" else "Sam3TrackerModel"
    return {"model": (f"transformers.{kind}", {})}


def assemble(components: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
    from mic2e_bench.catalog.models import sources
    from mic2e_bench.catalog.models.segmenter import Segmenter, processor_for

    model, kind = components["model"], arguments["prompt_kind"]
    processor = processor_for(
        str(sources.bundled("sam3", "processor")), kind, size=model.config.vision_config.image_size
    )
    return Segmenter(model, processor, kind)


def call(build: Build, item: Item, seed: int) -> Pictures:
    kind = build.pipe.prompt_kind
    if getattr(item, kind) is None:
        raise BadInput(f"input '{item.name}' has no {kind}: add it to prompts.yaml, or ask with another prompt_kind")
    return build.pipe.batch(item.image, item.text, item.points, item.box, build.call.get("batch", 1))


def written(settings: Settings) -> Written:
    kind = settings["prompt_kind"]
    given = {"text": "PROMPT, None, None", "points": "None, PROMPT, None", "box": "None, None, PROMPT"}[kind]
    return Written(
        imports=(plain_code.OPENING,),
        remark="model, processor and the union of instances",
        load="Segmenter.load",
        options=(f'prompt_kind="{kind}"',),
        prepare=f"image = {plain_code.OPEN}",
        call=f"pipe.batch(image, {given}, {settings['batch']})",
        after="pictures = result",
        needs=("IMAGE", "PROMPT"),
    )


CONFLICTS = (
    Conflict(
        ("attention",),
        lambda s, p: s["attention"].startswith("sliced"),
        "transformers' SAM3 has no attention slicing; use native or math",
    ),
    Conflict(
        ("compile",),
        lambda s, p: s["compile"] == "regional",
        "transformers' SAM3 names no repeated blocks; use default",
    ),
    Conflict(
        ("compile", "compile_fullgraph"),
        lambda s, p: s["compile"] != "none" and s["compile_fullgraph"],
        "SAM3 reads a value of a tensor in Python, which breaks the graph",
    ),
)

PIPELINE = Pipeline(
    name="sam3",
    task="segmentation",
    about="a phrase, points or a box to a mask",
    hub="facebook/sam3",
    class_path="mic2e_bench.catalog.models.segmenter.Segmenter",
    index="config.json",
    folders=("sam3_video", "sam3", "sam3_tracker"),
    denoiser="model",
    components=("model",),
    needs=("image", "text", "points", "box"),
    readers=(Reader("text", "processor.tokenizer", 32, "tokenizer.json", only={"prompt_kind": "text"}, cuts=False),),
    size="fixed",
    defaults={"grad_mode": "inference_mode"},  # as the service calls it
    load=load,
    call=call,
    written=written,
    architecture=architecture,
    assemble=assemble,
    family="segmenter",
    fuses_qkv=False,
    conflicts=CONFLICTS,
    service={},  # it shares the service's flags, and has no field of its own
)
