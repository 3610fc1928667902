"""Bundled folders: a pipeline's parts written in diffusers' layout, in half precision, each folder replaced at once."""

import copy
import json
import os
import shutil
from pathlib import Path

import diffusers
import torch
from safetensors.torch import save_file

from mic2e_bench import paths
from mic2e_bench.workshop.train import architectures, sam3_parts, sharing

BUILDERS = {  # the parts of a model with seeded starting weights: a pipeline, a dict of parts, SAM3's two models
    "objectclear": architectures.objectclear,
    "sdxl-inpaint": architectures.sdxl_inpaint,
    "flux-schnell": architectures.flux_schnell,
    "z-image-turbo": architectures.z_image_turbo,
    "sam3": lambda: sam3_parts.build(architectures.SEEDS["sam3"]),
}
NAMES = tuple(BUILDERS)
KEPT = ("README.md", "evaluation.json", "training.json")  # survive a replacement of the weights


def save_part(part, folder: Path) -> None:
    """One component; models in half precision, from a copy, so that a training may go on with the original."""
    if isinstance(part, torch.nn.Module):
        part = copy.deepcopy(part).cpu().half()
    part.save_pretrained(folder)


def save_objectclear(parts: dict, folder: Path) -> None:
    """The published ObjectClear layout; the two parts that diffusers does not know are stored but not indexed."""
    index = {
        "_class_name": "ObjectClearPipeline",
        "_diffusers_version": diffusers.__version__,
        "force_zeros_for_empty_prompt": True,
        "apply_attention_guided_fusion": True,
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
    }
    for name, part in parts.items():
        if name == "postfuse_module":
            (folder / name).mkdir()
            state = {k: v.detach().cpu().half().contiguous() for k, v in part.state_dict().items()}
            save_file(state, folder / name / "model.safetensors", metadata={"format": "pt"})
            continue
        save_part(part, folder / name)
        if name != "image_prompt_encoder":
            index[name] = [type(part).__module__.partition(".")[0], type(part).__name__]
    (folder / "model_index.json").write_text(json.dumps(index, indent=1) + "\n")


def save(name: str, parts, folder: Path) -> None:
    """Write `parts` into the new or empty `folder`, weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "objectclear":
        save_objectclear(parts, folder)
    elif name == "sam3":
        sam3_parts.save(*parts, folder)
    else:
        for key, part in parts.components.items():
            if part is not None:
                save_part(part, folder / key)
        parts.save_config(folder)


def install(name: str, parts, where: Path = paths.BUNDLED, vae_facts: Path | None = None) -> Path:
    """Replace the bundled folder of `name` by `parts`; a reader sees the old folder or the new one, whole.

    Files that models have in common are stored once; models that shared a file with this one keep what they had.
    vae_facts: the training.json of the autoencoder, which the model's card quotes.
    """
    target, fresh, old = where / name, where / f".{name}.new", where / f".{name}.old"
    for left in (fresh, old):
        shutil.rmtree(left, ignore_errors=True)
    save(name, parts, fresh)
    for kept in KEPT:
        if (target / kept).exists():
            shutil.copy2(target / kept, fresh / kept)
    if vae_facts and vae_facts.exists():
        shutil.copy2(vae_facts, fresh / "vae" / "training.json")
    models = [where / model for model in NAMES]
    with sharing.alone(where):
        sharing.disown(target, models)
        if target.exists():
            os.rename(target, old)
        os.rename(fresh, target)
        if name in NAMES:  # else `where` is a training's own folder
            sharing.share(models)
    shutil.rmtree(old, ignore_errors=True)
    return target
