"""Does an optional library work on this machine? A real call of each.

``python -m mic2e_bench.tools.doctor.libraries NAME...`` imports torch once and forks for each library,
so that one that aborts or hangs takes nothing else with it; it prints ``{NAME: {"works", "detail"}}`` as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from mic2e_bench.errors import Unavailable
from mic2e_bench.tools.doctor.isolated import in_child

TIMEOUT_S = 180  # of one check; a cold compilation on a busy machine takes a minute


def torch() -> str:
    import torch

    device = _device()
    square = torch.eye(64, device=device) * 2
    _close(square @ square, torch.eye(64, device=device) * 4)
    return f"{device}; CPU kernels {torch.backends.cpu.get_cpu_capability()}; {torch.get_num_threads()} threads"


def xformers() -> str:
    from xformers.ops import memory_efficient_attention

    _need_cuda("its kernels run on CUDA only; attention: xformers falls back to slicing")
    return _attends(memory_efficient_attention, "float16", 1e-2)


def bitsandbytes() -> str:
    import bitsandbytes
    import torch

    device, plain = _device(), torch.nn.Linear(128, 128, bias=False)
    given = torch.randn(4, 128)
    wanted = plain(given).to(device)
    eight = bitsandbytes.nn.Linear8bitLt(128, 128, bias=False, has_fp16_weights=False)
    four = bitsandbytes.nn.Linear4bit(128, 128, bias=False, quant_type="nf4", compute_dtype=torch.float32)
    for layer, tolerance in ((eight, 0.1), (four, 0.5)):
        layer.load_state_dict(plain.state_dict())
        _close(layer.to(device)(given.to(device)).to(wanted.dtype), wanted, tolerance)
    return f"8-bit and nf4 layers on {device}"


def torchao() -> str:
    import torch
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    device = _device()
    layer = torch.nn.Sequential(torch.nn.Linear(128, 128)).to(device)
    given = torch.randn(4, 128, device=device)
    wanted = layer(given)
    quantize_(layer, Int8WeightOnlyConfig())
    _close(layer(given), wanted, 0.1)
    return f"int8 weight-only layer on {device}"


def flash_attn() -> str:
    from flash_attn import flash_attn_func

    _need_cuda("its kernels run on CUDA only")
    return _attends(flash_attn_func, "bfloat16", 3e-2)


def _attends(attention: Callable[..., Any], dtype: str, tolerance: float) -> str:
    import torch

    given = [torch.randn(1, 64, 8, 64, device="cuda", dtype=getattr(torch, dtype)) for _ in range(3)]
    wanted = torch.nn.functional.scaled_dot_product_attention(*(tensor.transpose(1, 2) for tensor in given))
    _close(attention(*given), wanted.transpose(1, 2), tolerance)
    return f"{attention.__name__} agrees with PyTorch's"


def onnxruntime() -> str:
    import numpy
    import onnxruntime
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "negation", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    offered = onnxruntime.get_available_providers()
    providers = [name for name in offered if name != "AzureExecutionProvider"]  # a remote service
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=providers)
    (negated,) = session.run(None, {"x": numpy.array([1, 2], numpy.float32)})
    if negated.tolist() != [-1, -2]:
        raise ArithmeticError(f"-[1, 2] came out as {negated.tolist()}")
    return f"ran on {session.get_providers()[0]}; offered: {', '.join(offered)}"


def tensorrt() -> str:
    import tensorrt

    _need_cuda("it builds engines on CUDA only")
    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(0)
    given = network.add_input("x", tensorrt.float32, (2,))
    network.mark_output(network.add_unary(given, tensorrt.UnaryOperation.NEG).get_output(0))
    if builder.build_serialized_network(network, builder.create_builder_config()) is None:
        raise RuntimeError("a network of one negation could not be built")
    return "built an engine"


def torch_tensorrt() -> str:
    import torch
    import torch_tensorrt

    _need_cuda("it builds engines on CUDA only")
    layer, given = torch.nn.Linear(16, 16).eval().cuda(), torch.randn(2, 16, device="cuda")
    _close(torch_tensorrt.compile(layer, ir="dynamo", inputs=[given])(given), layer(given), 1e-2)
    return "built an engine"


def cache_dit() -> str:
    import cache_dit
    import torch
    from diffusers import FluxPipeline

    from mic2e_bench.catalog.models import sources

    pipe = FluxPipeline.from_pretrained(sources.bundled("flux-schnell", "doctor"), torch_dtype=torch.float32)
    pipe.to(_device())
    cache_dit.enable_cache(pipe)
    pipe("a ball", height=64, width=64, num_inference_steps=2)
    return "a cached call of the bundled FLUX model"


def lpips() -> str:
    import numpy

    from mic2e_bench.catalog.metrics.perceptual import backbone, lpips

    black, noise = numpy.zeros((64, 64, 3)), numpy.random.default_rng(0).random((64, 64, 3))
    if abs(lpips(noise, noise)) > 1e-6 or lpips(black, noise) <= 0:
        raise ArithmeticError("equal images are not at distance 0, or different ones are")
    return backbone()


def triton() -> str:
    import torch
    from triton.runtime import driver

    if not torch.cuda.is_available():
        driver.active.get_current_target()  # raises in Triton's own words
    _compile("cuda")
    return f"compiled a kernel for {driver.active.get_current_target()}"


def inductor() -> str:
    with tempfile.TemporaryDirectory() as cache:  # an empty cache, so that the compiler is really called
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        from torch._inductor.cpp_builder import get_cpp_compiler

        _compile("cpu")
        return f"compiled for the CPU with {get_cpp_compiler()}"


def _compile(device: str) -> None:
    import torch

    given = torch.randn(1024, device=device)
    _close(torch.compile(lambda x: x.sin() + 1)(given), given.sin() + 1, 1e-4)


_EACH = (torch, xformers, bitsandbytes, torchao, flash_attn, onnxruntime, tensorrt, torch_tensorrt, cache_dit, lpips,
         triton, inductor)  # fmt: skip
CHECKS = {function.__name__: function for function in _EACH}


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _need_cuda(why: str) -> None:
    if _device() != "cuda":
        raise Unavailable(f"no CUDA device: {why}")


def _close(got: Any, wanted: Any, tolerance: float = 1e-5) -> None:
    difference = (got - wanted).abs().max().item()
    if not difference <= tolerance:
        raise ArithmeticError(f"it ran, and its result is off by {difference:.2g}")


def main(names: list[str]) -> None:
    """Print the answers to the checks of these names."""
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # asking for a device must not start CUDA before the forks
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # compile in the child itself
    sys.stdout.flush()
    shown = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import torch  # noqa: F401

    print(json.dumps({name: in_child(CHECKS[name], TIMEOUT_S) for name in names}), file=shown, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
