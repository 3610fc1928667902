"""Reading the published folder component by component: diffusers does not know the class in its index."""

import importlib
import os

import torch
from diffusers import DiffusionPipeline
from diffusers.utils.torch_utils import get_module_execution_device
from huggingface_hub import hf_hub_download
from safetensors.torch import load_file

from .postfuse import ObjectImageEncoder, PostfuseModule

POSTFUSE_FILE = "postfuse_module/model.safetensors"
COMPONENTS = {
    "vae": ("diffusers", "AutoencoderKL"),
    "text_encoder": ("transformers", "CLIPTextModel"),
    "text_encoder_2": ("transformers", "CLIPTextModelWithProjection"),
    "tokenizer": ("transformers", "CLIPTokenizer"),
    "tokenizer_2": ("transformers", "CLIPTokenizer"),
    "unet": ("diffusers", "UNet2DConditionModel"),
    "scheduler": ("diffusers", "DDIMScheduler"),
}
OPTIONS = ("force_zeros_for_empty_prompt", "requires_aesthetics_score", "apply_attention_guided_fusion")
HUB_ARGUMENTS = ("cache_dir", "token", "local_files_only", "force_download", "proxies")


def load_parts(source, *, dtype=torch.float32, revision=None, quantization_config=None, **kwargs):
    """Return the arguments of `ObjectClearPipeline` from a folder or hub id in the published layout; safetensors only.

    dtype: a torch.dtype, for all weights. quantization_config: diffusers' PipelineQuantizationConfig. Other
    arguments (device_map, low_cpu_mem_usage, variant, cache_dir, token, local_files_only) go to each model's
    `from_pretrained`. The index may leave out the two custom components. Raises TypeError for a dtype that is
    not a torch.dtype, ValueError for an index with an unknown class, OSError (from the libraries) for what is
    missing.
    """
    if not isinstance(dtype, torch.dtype):
        # the libraries take a string for a dtype with a warning and then load float32
        raise TypeError(f"dtype must be a torch.dtype such as torch.float16, not {dtype!r}.")
    source = os.fspath(source)
    hub = {name: kwargs[name] for name in HUB_ARGUMENTS if name in kwargs} | {"revision": revision}
    index = DiffusionPipeline.load_config(source, **hub)
    models = dict(kwargs, dtype=dtype, revision=revision, use_safetensors=True)
    parts = {}
    for name, default in COMPONENTS.items():
        component = _component_class(name, index.get(name), default)
        is_model = issubclass(component, torch.nn.Module)
        arguments = models | _quantization(quantization_config, name, component) if is_model else hub
        parts[name] = component.from_pretrained(source, subfolder=name, **arguments)
    name = "image_prompt_encoder"
    arguments = models | _quantization(quantization_config, name, ObjectImageEncoder)
    parts[name] = ObjectImageEncoder.from_pretrained(source, subfolder=name, **arguments)
    state = {key: value.to(dtype) for key, value in load_file(_postfuse_path(source, hub)).items()}
    # a device map has placed the image encoder, whose output goes into this module
    device = get_module_execution_device(parts[name])
    parts["postfuse_module"] = PostfuseModule.from_state_dict(state).to(device)
    return parts | {name: index[name] for name in OPTIONS if name in index}


def _component_class(name, entry, default):
    library, class_name = entry if entry and entry[0] else default
    known = library in ("diffusers", "transformers")
    component = getattr(importlib.import_module(library), class_name, None) if known else None
    if component is None:
        usual = ".".join(default)
        raise ValueError(f"model_index.json names {library}.{class_name} for {name}; usual is {usual}.")
    return component


def _quantization(config, name, component):
    if config is None:
        return {}
    resolved = config._resolve_quant_config(component.__module__.startswith("diffusers"), name)
    return {} if resolved is None else {"quantization_config": resolved}


def _postfuse_path(source, hub):
    if os.path.isdir(source):
        return os.path.join(source, POSTFUSE_FILE)
    return hf_hub_download(source, POSTFUSE_FILE, **hub)
