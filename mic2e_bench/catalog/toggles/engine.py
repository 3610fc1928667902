"""What runs the denoiser."""

from __future__ import annotations

import gc
import importlib.util
from typing import Any

from mic2e_bench import paths
from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.catalog.toggle import Phase, Seen, Toggle, one_of
from mic2e_bench.errors import Unavailable

ONNX = {"onnx": "onnx", "onnxscript": "onnxscript", "onnxruntime": "onnxruntime"}
# by engine: the modules that it needs and how they are installed
ENGINES: dict[str, dict[str, str]] = {
    "torch": {},
    "onnxruntime-cpu": ONNX,
    "onnxruntime-cuda": {**ONNX, "onnxruntime": "onnxruntime-gpu"},
    "tensorrt": {"torch_tensorrt": "torch-tensorrt"},
}


def missing(value: str, device: str) -> str:
    if value in ("onnxruntime-cuda", "tensorrt") and device != "cuda":
        return f"this engine runs on CUDA devices only; the device is {device}"
    for package, install in ENGINES[value].items():
        if importlib.util.find_spec(package) is None:
            return f"the package {package} is not installed (uv pip install {install})"
    return ""


def apply(build: Build, value: str) -> None:
    if lacking := missing(value, build.device):
        raise Unavailable(f"engine {value}: {lacking}")
    if value == "tensorrt":
        _tensorrt(build)
    elif value != "torch":
        _onnxruntime(build, value)


def _onnxruntime(build: Build, value: str) -> None:
    import onnxruntime

    from mic2e_bench.catalog.toggles.backends import onnx

    provider = onnx.PROVIDERS[value]
    if provider not in onnxruntime.get_available_providers():
        raise Unavailable(f"engine {value}: this onnxruntime has no {provider} (uv pip install onnxruntime-gpu)")
    build.notes["engine"] = build.denoiser.forward = onnx.OnnxEngine(build, provider)


def _tensorrt(build: Build) -> None:
    """TensorRT through its backend of torch.compile, which cuts the denoiser into engines and keeps them on disk."""
    importlib.import_module("torch_tensorrt")  # it registers the backend
    options = {
        "enabled_precisions": {build.denoiser.dtype},
        "min_block_size": 1,
        "immutable_weights": False,  # or an engine could not be used again with the weights put back in
        "cache_built_engines": True,
        "reuse_cached_engines": True,
        "engine_cache_dir": str(paths.cache() / "tensorrt"),
    }
    build.denoiser.compile(backend="torch_tensorrt", dynamic=False, options=options)
    build.notes["engine"] = "tensorrt"


def observe(build: Build, value: str) -> Seen:
    """The provider of the live session that answered the denoiser's calls, or the TensorRT engines in memory."""
    engine = build.notes.get("engine")
    if engine is None:
        return Seen("torch", f"{type(build.denoiser).__name__}'s own forward")
    if engine == "tensorrt":
        count = sum("TensorRTModule" in type(thing).__name__ for thing in gc.get_objects())
        how = f"{count} TensorRT engines in memory"
        return Seen("tensorrt" if count else "torch", how, reason="no engine was made")
    return _onnx(build, engine, value)


def _onnx(build: Build, engine: Any, value: str) -> Seen:
    if vars(build.denoiser).get("forward") is not engine or not engine.runs:
        return Seen("torch", "no session answered", reason="the denoiser's call does not reach the session")
    providers = sorted({session.get_providers()[0] for session in engine.sessions.values()})
    seen = {"CPUExecutionProvider": "onnxruntime-cpu", "CUDAExecutionProvider": "onnxruntime-cuda"}
    how = (
        f"{len(engine.sessions)} sessions on {', '.join(providers)}, {engine.runs} runs; "
        f"{engine.exported} graphs exported now, the others read from {paths.cache() / 'engines'}"
    )
    return Seen("/".join(seen.get(name, name) for name in providers), how)


ENGINE = Toggle(
    name="engine",
    phase=Phase.COMPILE,
    # TensorRT is a backend of torch.compile: the last of them to be arranged is the one in force
    after=("compile", "compile_cache", "compile_dynamic", "compile_fullgraph"),
    values=" | ".join(ENGINES),
    default="torch",
    parse=one_of(*ENGINES),
    apply=apply,
    observe=observe,
    cost="rounding",
    about="Another runtime behind the denoiser's call: exported once for each shape and cached, then run from there.\n"
    "torch's copy of the weights stays in memory beside the engine's.",
    source="docs: torch, 'torch.onnx'; ONNX Runtime, 'Execution Providers'; Torch-TensorRT, 'Engine caching'",
    fits=lambda pipeline: pipeline.task != "segmentation",
    missing=missing,
    tolerance=0.02,
)
