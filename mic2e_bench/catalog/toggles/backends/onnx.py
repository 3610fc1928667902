"""The denoiser in ONNX Runtime or TensorRT, behind the module's own call.

ONNX: the module's ``forward`` is replaced. For each new shape of inputs the denoiser is exported once, into a cache
folder under a name that stands for its weights, shapes and the versions; then a session runs it. Everything else of
the module (configuration, dtype, device) stays as it was, and so do its weights, which the pipeline still asks.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree as pytree

from mic2e_bench import paths
from mic2e_bench.catalog.pipeline import Build

PROVIDERS = {"onnxruntime-cpu": "CPUExecutionProvider", "onnxruntime-cuda": "CUDAExecutionProvider"}
PACKAGES = ("torch", "diffusers", "onnx", "onnxruntime", "onnxscript")
# names in onnx.TensorProto of what pipelines give their denoisers
ELEMENTS = {
    torch.float32: "FLOAT",
    torch.float16: "FLOAT16",
    torch.bfloat16: "BFLOAT16",
    torch.float64: "DOUBLE",
    torch.int64: "INT64",
    torch.int32: "INT32",
    torch.bool: "BOOL",
}
SAMPLE = 256  # elements of each tensor that enter the identity of the weights


class OnnxEngine:
    """A stand-in for one live module's ``forward``; ``sessions`` has one for each shape of its inputs."""

    opaque = True  # to the witness: no operator of PyTorch runs in it, and nothing may watch while it exports

    def __init__(self, build: Build, provider: str) -> None:
        self.module, self.provider = build.denoiser, provider
        self.capture = getattr(build.pipe, "capture", None)
        self.forward = build.denoiser.forward
        self.sessions: dict[str, Any] = {}
        self.exported = self.runs = 0

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor]:
        """The module's call with ``return_dict=False``, as every pipeline makes it."""
        if kwargs.get("return_dict") is not False:
            raise TypeError("an ONNX engine answers as with return_dict=False only")
        leaves, spec = pytree.tree_flatten((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        key = identity(self.module, leaves)
        if key not in self.sessions:
            self.sessions[key] = self._session(key, leaves, spec)
        outputs = run(self.sessions[key], tensors)
        self.runs += 1
        if self.capture is not None:
            from mic2e_bench.catalog.models.objectclear.capture import first_cross_attention

            _, attn = first_cross_attention(self.module)
            self.capture.query = (attn.to_q, outputs[1])
            self.capture.key = (attn.to_kv if getattr(attn, "fused_projections", False) else attn.to_k, outputs[2])
        return (outputs[0],)

    def _session(self, key: str, leaves: list[Any], spec: Any) -> Any:
        import onnxruntime

        path = paths.cache() / "engines" / key / "denoiser.onnx"
        if not path.exists():
            self._export(path, leaves, spec)
            self.exported += 1
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(str(path), options, providers=[self.provider])

    def _export(self, path: Path, leaves: list[Any], spec: Any) -> None:
        """Write the graph for these inputs; a reader sees a whole folder or none."""
        with torch.inference_mode(False):  # the tracer takes no tensors that were made in inference mode
            tensors = tuple(leaf.clone() for leaf in leaves if isinstance(leaf, torch.Tensor))
        part = path.parent.with_name(f".{path.parent.name}.{os.getpid()}")
        part.mkdir(parents=True, exist_ok=True)
        engine, self.module.forward = self.module.forward, self.forward
        try:
            with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad(), size_embedding(self.module):
                warnings.simplefilter("ignore")  # the exporter's own deprecations
                names = [f"input_{index}" for index in range(len(tensors))]
                flat = Flat(self.module, self.capture, leaves, spec).eval()
                program = torch.onnx.export(flat, tensors, input_names=names, dynamo=True, verbose=False)
            program.save(str(part / path.name), external_data=True)
        finally:
            self.module.forward = engine
            if self.capture is not None:
                self.capture.clear()  # it holds the tracer's tensors
        part.replace(path.parent)


def size_embedding(module: torch.nn.Module) -> contextlib.AbstractContextManager[Any]:
    """SDXL's size embedding in the module's own dtype while it is exported.

    It is float32 and meets 16-bit text embeddings in a ``concat``, where the exporter forgets PyTorch's promotion; the
    module casts both to its dtype right after.
    """
    embedding = getattr(module, "add_time_proj", None)
    if embedding is None:
        return contextlib.nullcontext()
    return embedding.register_forward_hook(lambda hooked, args, output: output.to(module.dtype))


class Flat(torch.nn.Module):
    """The denoiser as a function of its tensors alone; what ObjectClear's hooks keep is an output too."""

    def __init__(self, module: torch.nn.Module, capture: Any, leaves: list[Any], spec: Any) -> None:
        super().__init__()
        self.module, self.capture, self.spec = module, capture, spec
        self.constants = [None if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        self.places = [index for index, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        leaves = list(self.constants)
        for index, tensor in zip(self.places, tensors, strict=True):
            leaves[index] = tensor
        args, kwargs = pytree.tree_unflatten(leaves, self.spec)
        sample = self.module(*args, **kwargs)[0]
        if self.capture is None:
            return (sample,)
        return sample, self.capture.query[1], self.capture.key[1]


def run(session: Any, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """One run of a session, on the device of the tensors. Inputs that the graph does not use are left out."""
    given = {f"input_{index}": tensor.contiguous() for index, tensor in enumerate(tensors)}
    given = {needed.name: given[needed.name] for needed in session.get_inputs()}
    if all(tensor.device.type == "cpu" for tensor in tensors):
        made = session.run(None, {name: tensor.numpy() for name, tensor in given.items()})
        return [torch.from_numpy(array) for array in made]
    return bound(session, given, tensors[0].device)


def bound(session: Any, given: dict[str, torch.Tensor], device: torch.device) -> list[torch.Tensor]:
    """One run that reads and writes tensors where they are, the outputs on ``device``; shapes are those exported."""
    binding, made = session.io_binding(), []
    for name, tensor in given.items():
        _bind(binding.bind_input, name, tensor)
    for output in session.get_outputs():
        dtype = next(dtype for dtype, name in ELEMENTS.items() if output.type == f"tensor({name.lower()})")
        made.append(torch.empty(output.shape, dtype=dtype, device=device))
        _bind(binding.bind_output, output.name, made[-1])
    if device.type == "cuda":
        torch.cuda.synchronize()  # the session has a stream of its own
    session.run_with_iobinding(binding)
    return made


def _bind(bind: Callable[..., None], name: str, tensor: torch.Tensor) -> None:
    from onnx import TensorProto

    element, place = getattr(TensorProto, ELEMENTS[tensor.dtype]), tensor.device
    bind(name, place.type, place.index or 0, element, tuple(tensor.shape), tensor.data_ptr())


def identity(module: torch.nn.Module, leaves: Iterable[Any]) -> str:
    """What one exported graph stands for: weights, structure, input shapes and constants, versions."""
    inputs = [
        [list(leaf.shape), str(leaf.dtype), leaf.device.type] if isinstance(leaf, torch.Tensor) else repr(leaf)
        for leaf in leaves
    ]
    versions = {name: metadata.version(name) for name in PACKAGES}
    content = [weights_identity(module), inputs, versions]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def weights_identity(module: torch.nn.Module) -> str:
    """A hash over the module's structure and over evenly spaced elements of every tensor; made once a module."""
    known = vars(module).get("_engine_identity")
    if known is None:
        total = hashlib.sha256(str(module).encode())
        for processor in getattr(module, "attn_processors", {}).values():
            total.update(f"{type(processor).__name__} {getattr(processor, 'slice_size', '')}".encode())
        for name, tensor in module.state_dict().items():
            flat = tensor.detach().reshape(-1)
            sample = flat[:: max(1, len(flat) // SAMPLE)].to("cpu", torch.float64)
            total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode() + sample.numpy().tobytes())
        known = module._engine_identity = total.hexdigest()
    return known
