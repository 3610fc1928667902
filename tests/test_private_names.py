"""Names that libraries call private and this package uses all the same: a release that moves one is named."""

import ast
import importlib
from importlib import metadata
from pathlib import Path

import diffusers
import pytest
import torch
import torch._dynamo
import torch._inductor
import torch._subclasses
import torch.utils._python_dispatch
import torch.utils._pytree

PACKAGE = Path(__file__).parents[1] / "mic2e_bench"
OUTSIDE = ("train", "standin", "scenes", "bench")  # what makes and proves this repository's own things

# by the name as the code writes it: who has it, and what it is used for
NAMES = {
    "_lazy_init": (lambda: torch.cuda, "who starts CUDA is noted (fork_safety)"),
    "_cuda_getDeviceCount": (lambda: torch._C, "who starts CUDA is noted (fork_safety)"),
    "_accelerator_setAllocatorSettings": (lambda: torch._C, "expandable segments after the import"),
    "_compiled_call_impl": (lambda: torch.nn.Module, "what is compiled in place"),
    "_parameters": (lambda: torch.nn.Linear(1, 1), "parameters of one layer, by name"),
    "_buffers": (lambda: torch.nn.Linear(1, 1), "buffers of one layer, by name"),
    "_forward_hooks": (lambda: torch.nn.Linear(1, 1), "ObjectClear's hooks"),
    "_cdata": (lambda: torch.zeros(1).untyped_storage(), "storages told apart (fit)"),
    "_dynamo": (lambda: torch, "Dynamo's counters and callbacks"),
    "_inductor": (lambda: torch, "the compiler's path (doctor)"),
    "_subclasses": (lambda: torch, "tensors without memory (fit)"),
    "_python_dispatch": (lambda: torch.utils, "operators as they are dispatched"),
    "_pytree": (lambda: torch.utils, "inputs of an exported denoiser"),
    "_scaled_dot_product_flash_attention_for_cpu": (lambda: torch.ops.aten, "FLOPs of attention on a CPU"),
    "_C": (lambda: torch, "the two above"),
    "_callback_tensor_inputs": (lambda: diffusers.FluxPipeline, "step callbacks"),
    "_pack_latents": (lambda: diffusers.FluxPipeline, "FLUX's noise"),
    "_execution_device": (lambda: diffusers.DiffusionPipeline, "where ObjectClear computes"),
    "_resolve_quant_config": (lambda: diffusers.PipelineQuantizationConfig, "quantised loading of ObjectClear"),
    "_keep_in_fp32_modules": (lambda: diffusers.ModelMixin, "what is loaded in float32"),
}
# put on objects by the code of these modules, so that only its source shows the name
IN_SOURCE = {
    "_orig_mod": ("torch._dynamo.eval_frame", "a module that torch.compile wraps"),
    "_keep_in_fp32_modules_strict": ("transformers.modeling_utils", "what is loaded in float32"),
    "_diffusers_hook": ("diffusers.hooks.hooks", "group offload's hooks"),
    "_hf_hook": ("accelerate.hooks", "offload's hooks"),
    "_cache_config": ("diffusers.models.cache_utils", "the step cache in force"),
}
# cache-dit's mark, where that package is installed; documented by Python
OTHERS = {"_is_cached", "_exit"}


def _trees():
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] not in OUTSIDE:
            yield ast.parse(path.read_text())


def _is_private(name):
    return name.startswith("_") and not name.startswith("__")


def _used_names():
    """Private names that the package reads of something it does not define itself."""
    trees, own, used = list(_trees()), set(), set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            own.add(node.name)
        elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Store):
            own.add(node.id if isinstance(node, ast.Name) else node.attr)
        elif isinstance(node, ast.Attribute):
            used.add(node.attr)
        elif isinstance(node, ast.Import):
            used.update(part for alias in node.names for part in alias.name.split("."))
        elif isinstance(node, ast.ImportFrom) and node.module:
            used.update([*node.module.split("."), *(alias.name for alias in node.names)])
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr"):
            used.update(one.value for one in node.args[1:2] if isinstance(one, ast.Constant))
    return {name for name in used - own if _is_private(name)}


def test_every_private_name_is_listed():
    listed = {*NAMES, *IN_SOURCE, *OTHERS} - {"_lazy_init"}  # a text in fork_safety
    used = _used_names()
    assert used <= listed, f"list them here: {sorted(used - listed)}"
    assert listed <= used, f"used no more: {sorted(listed - used)}"


@pytest.mark.parametrize("name", NAMES)
def test_its_owner_still_has_it(name):
    owner, used_for = NAMES[name]
    library = "diffusers" if "diffusers" in repr(owner()) else "torch"
    assert hasattr(owner(), name), _moved(library, name, used_for)


@pytest.mark.parametrize("name", IN_SOURCE)
def test_the_code_that_puts_it_there_still_does(name):
    module, used_for = IN_SOURCE[name]
    source = Path(importlib.import_module(module).__file__).read_text()
    assert name in source, _moved(module.partition(".")[0], name, used_for)


def _moved(library, name, used_for):
    return f"{library} {metadata.version(library)} has no {name} any more; it was used for: {used_for}"
