"""ONNX Runtime and TensorRT behind the denoiser's call."""

import importlib.machinery
import sys
import types

import pytest
import torch
from toggling import baseline, build, fresh_is_untouched, run, shoot, short, tolerance, trial

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.toggles import engine
from mic2e_bench.catalog.toggles.backends import onnx
from mic2e_bench.errors import Unavailable
from mic2e_bench.plan import conflicts

ONNX = "onnxruntime-cpu"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "mic2e-bench" / "engines"


def refused(name, **settings):
    return conflicts.find(trial(name, **settings).settings, registry.pipeline(name))


def test_objectclear_in_onnx_runtime_with_fusion_on():
    shot = shoot(*short("objectclear", engine=ONNX))
    assert [key for key in shot.receipts if not shot.applied(key)] == []
    assert shot.receipts["engine"]["how"].startswith("1 sessions on CPUExecutionProvider, 2 runs; 1 graphs exported")
    assert shot.off_by(shoot(*short("objectclear"))) <= tolerance("engine")
    assert shot.build.pipe.config.apply_attention_guided_fusion


def test_flux_is_exported_once_for_each_shape(cache):
    plain = shoot(*short("flux-schnell"))
    made, planned = short("flux-schnell", engine=ONNX)
    first = shoot(made, planned)
    assert first.off_by(plain) <= tolerance("engine")
    assert (made.notes["engine"].exported, len(list(cache.iterdir()))) == (1, 1)
    again = short("flux-schnell", engine=ONNX, grad_mode="inference_mode")
    assert shoot(*again).off_by(first) == 0
    assert again[0].notes["engine"].exported == 0  # read from the cache
    two = trial("flux-schnell", engine=ONNX, batch=2)
    assert shoot(made, two).off_by(plain) <= tolerance("engine")
    assert (made.notes["engine"].exported, len(made.notes["engine"].sessions)) == (2, 2)
    assert [folder.name for folder in cache.iterdir() if folder.name.startswith(".")] == []


def test_other_weights_or_shapes_are_another_graph():
    made, _ = short("flux-schnell")
    leaves = [torch.zeros(1, 4), None]
    first = onnx.identity(made.denoiser, leaves)
    assert first == onnx.identity(made.denoiser, [torch.ones(1, 4), None])
    assert first != onnx.identity(made.denoiser, [torch.zeros(2, 4), None])
    assert first != onnx.identity(made.denoiser, [torch.zeros(1, 4), False])
    other, same = short("flux-schnell")[0].denoiser, short("flux-schnell")[0].denoiser
    with torch.no_grad():
        other.x_embedder.weight.mul_(1.01)
    assert onnx.identity(other, leaves) != first == onnx.identity(same, leaves)


def test_an_engine_that_is_not_called_is_not_in_force():
    made, _ = build("sdxl-inpaint", engine=ONNX)
    seen = engine.observe(made, ONNX)
    assert (seen.value, seen.reason) == ("torch", "the denoiser's call does not reach the session")
    with pytest.raises(TypeError, match="return_dict=False only"):
        made.denoiser(torch.zeros(1), return_dict=True)


def test_sizes_are_embedded_in_the_models_own_format_while_exporting():
    made, _ = build("sdxl-inpaint", precision="fp16")
    with onnx.size_embedding(made.denoiser):
        assert made.denoiser.add_time_proj(torch.ones(6)).dtype == torch.float16
    assert made.denoiser.add_time_proj(torch.ones(6)).dtype == torch.float32


def test_what_is_missing_is_named(monkeypatch):
    for value in ("onnxruntime-cuda", "tensorrt"):
        assert engine.missing(value, "cpu") == "this engine runs on CUDA devices only; the device is cpu"
        made, _ = build("flux-schnell")
        with pytest.raises(Unavailable, match=f"engine {value}: this engine runs on CUDA devices only"):
            engine.apply(made, value)
    made.device = "cuda"
    with pytest.raises(Unavailable, match="has no CUDAExecutionProvider"):
        engine.apply(made, "onnxruntime-cuda")
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: None)
    assert engine.missing("tensorrt", "cuda").endswith("is not installed (uv pip install torch-tensorrt)")
    assert not engine.missing("torch", "cpu")


def test_tensorrt_up_to_the_call_that_needs_the_device(monkeypatch, cache):
    stub = types.ModuleType("torch_tensorrt")
    stub.__spec__ = importlib.machinery.ModuleSpec("torch_tensorrt", None)
    monkeypatch.setitem(sys.modules, "torch_tensorrt", stub)
    made, _ = build("flux-schnell")
    asked = {}
    monkeypatch.setattr(made.denoiser, "compile", lambda **arguments: asked.update(arguments))
    made.device = "cuda"
    engine.apply(made, "tensorrt")
    assert (asked["backend"], asked["options"]["engine_cache_dir"]) == (
        "torch_tensorrt",
        str(cache.parent / "tensorrt"),
    )
    assert asked["options"]["enabled_precisions"] == {torch.float32}
    seen = engine.observe(made, "tensorrt")
    assert (seen.value, seen.reason) == ("torch", "no engine was made")


def test_collisions():
    for setting, why in (
        ({"compile": "default"}, "nothing is left for torch.compile"),
        ({"precision": "bf16"}, "have no bf16"),
        ({"quantize": "torchao-int8wo"}, "quantised weights"),
        ({"attention": "math"}, "attention kernels of its own"),
        ({"offload": "model"}, "its own copy of the weights"),
    ):
        assert why in refused("objectclear", engine=ONNX, **setting)
    assert "complex tensors" in refused("z-image-turbo", engine=ONNX)
    assert "never calls" in refused("flux-schnell", engine=ONNX, step_cache="pab:2")
    on_gpu = {**trial("flux-schnell", engine=ONNX).settings, "device": "cuda"}
    assert "onnxruntime-cuda" in conflicts.find(on_gpu, registry.pipeline("flux-schnell"))
    for fine in ({"quantize": "torchao-int8wo", "quantize_parts": "text_encoders"}, {"attention": "sliced:1"}):
        assert not refused("objectclear", engine=ONNX, **fine)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float16, torch.int64), ids=str)
def test_tensors_are_bound_where_they_are(dtype):
    """As on a GPU, whose tensors no session may copy through main memory."""
    import onnxruntime
    from onnx import TensorProto, helper

    kind = getattr(TensorProto, onnx.ELEMENTS[dtype])
    ends = [helper.make_tensor_value_info(name, kind, [2, 3]) for name in ("input_0", "y")]
    graph = helper.make_graph([helper.make_node("Neg", ["input_0"], ["y"])], "negation", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = torch.arange(6).reshape(2, 3).to(dtype)
    (made,) = onnx.bound(session, {"input_0": given}, torch.device("cpu"))
    assert made.dtype == dtype and torch.equal(made, -given)


@pytest.mark.gpu
@pytest.mark.parametrize("value", ("onnxruntime-cuda", "tensorrt"))
def test_on_a_gpu(value):
    half = {"device": "cuda", "precision": "fp16"}
    if lacking := engine.missing(value, "cuda"):
        pytest.skip(lacking)
    offered = pytest.importorskip("onnxruntime").get_available_providers()
    if value in onnx.PROVIDERS and onnx.PROVIDERS[value] not in offered:
        pytest.skip(f"this onnxruntime has no {onnx.PROVIDERS[value]}: it is the CPU build")
    shot = run("objectclear", engine=value, **half)
    assert shot.receipts["engine"]["seen"] == value, shot.receipts["engine"]
    assert shot.differs(baseline("objectclear", **half)) < 0.03


def test_fresh_build():
    assert fresh_is_untouched("objectclear", "flux-schnell")
