"""Names that libraries call private and this package uses all the same: a release that moves one is named.

And that tests see what anybody sees: they use no private name of ours, and make nothing that its class would not make.
"""

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

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "mic2e_bench"
OUTSIDE = ("workshop",)  # what makes and proves this repository's own things

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
OTHERS = {"_is_cached", "_exit", "_asdict"}
# what tests alone name, because there is no public way
IN_TESTS = {
    "_interrupt",  # diffusers' documented way to end a call from a callback
    "_cuda_getDevice",  # with the next two what starts CUDA, of which no test has a device
    "_device_count_nvml",
    "_get_device_properties",
}
PATCHING = ("setattr", "delattr", "getattr", "hasattr", "put")  # calls that take a name as a text
UNMADE = ("__setattr__", "__delattr__", "__new__")  # a frozen object changed, or one that never was made


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
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
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


def _taken(tree):
    """Private names that a module takes from others, and objects that it makes or changes past their class."""
    made = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    own = {node.name for node in ast.walk(tree) if isinstance(node, made)}
    own |= {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    }
    for node in ast.walk(tree):
        found = []
        if isinstance(node, ast.Attribute):
            if node.attr in UNMADE:
                yield node.lineno, ast.unparse(node)
            found = [node.attr] if ast.unparse(node.value) != "self" or node.attr not in own else []
        elif isinstance(node, ast.ImportFrom):
            found = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            found = [part for alias in node.names for part in alias.name.split(".")]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in PATCHING:
            texts = [one.value for one in node.args[:2] if isinstance(one, ast.Constant)]
            found = [part for text in texts if isinstance(text, str) for part in text.split(".")]
        elif isinstance(node, ast.ClassDef) and node.bases:  # it may override what its base calls private
            found = [one.name for one in node.body if isinstance(one, ast.FunctionDef)]
        yield from ((node.lineno, name) for name in found if _is_private(name))


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_tests_use_what_is_public(path):
    known = {*NAMES, *IN_SOURCE, *OTHERS, *IN_TESTS}
    taken = [f"{path.name}:{line} {name}" for line, name in _taken(ast.parse(path.read_text())) if name not in known]
    assert not taken, "assert the behaviour, or make it public in the package (others' names: list them here)"


def test_what_is_private_is_seen():
    """Calls, patches by text, overrides, imports, thawed and unmade objects; not what a class has of its own."""
    seen = {
        "child._write()": "_write",
        "patch.setattr(child, '_write', 1)": "_write",
        "patch.setattr('mic2e_bench.run.child._write', 1)": "_write",
        "class A(Child):\n def _write(self): 0": "_write",
        "from mic2e_bench.run.child import _write": "_write",
        "object.__setattr__(trial, 'label', 'x')": "object.__setattr__",
        "Child.__new__(Child)": "Child.__new__",
    }
    assert {code: [name for _, name in _taken(ast.parse(code))] for code in seen} == {
        code: [name] for code, name in seen.items()
    }
    assert not list(_taken(ast.parse("class A:\n def _b(self): 0\n def c(self): self._b()\ndef _d(): 0\n_d()")))


def test_no_test_module_imports_another():
    """What two of them share is in a module of its own beside this one."""
    names = {path.stem for path in TESTS.rglob("test_*.py")}
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            taken = {node.module} if isinstance(node, ast.ImportFrom) else set()
            taken |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            assert not taken & names, f"{path}:{node.lineno}"
