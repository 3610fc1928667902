"""What only a CUDA device can show: the same toggles, applied there, with the CPU tests' expectations."""

import importlib.util

import pytest
import torch
from diffusers.models.attention_dispatch import attention_backend
from toggling import baseline, build, run, shoot

from mic2e_bench.catalog.toggles.backends import attention

pytestmark = pytest.mark.gpu
HALF = {"device": "cuda", "precision": "bf16"}
# mean difference to the same call on the device without the setting
CLOSE = 0.03


@pytest.fixture(autouse=True)
def _own_attention():
    """A transformer's backend becomes the default of its whole process, which builds never share and tests do."""
    with attention_backend("native"):
        yield


def has_xformers():
    """Whether xFormers has kernels for this release of torch."""
    import xformers.ops

    one = torch.zeros(1, 32, 1, 32, device="cuda", dtype=torch.float16)
    try:
        xformers.ops.memory_efficient_attention(one, one, one)
    except NotImplementedError:
        return False
    return True


@pytest.mark.parametrize("name", ("sdxl-inpaint", "flux-schnell"))
@pytest.mark.parametrize("value", ("flash", "efficient", "cudnn", "xformers", *attention.PACKAGES))
def test_attention(name, value):
    if value in attention.PACKAGES and importlib.util.find_spec(attention.PACKAGES[value][0]) is None:
        pytest.skip(f"{attention.PACKAGES[value][0]} is not installed")
    shot = run(name, **HALF, attention=value)
    receipt = shot.receipts["attention"]
    if value == "xformers" and not has_xformers():  # the fallback is named, and the picture is whole
        assert not receipt["applied"] and "fell back to attention slicing" in receipt["reason"], receipt
    else:
        assert receipt["seen"] == value, receipt
    assert shot.differs(baseline(name, **HALF)) < CLOSE


@pytest.mark.parametrize("name", ("sdxl-inpaint", "objectclear", "flux-schnell", "z-image-turbo"))
@pytest.mark.parametrize("value", ("model", "sequential", "group"))
def test_offload(name, value):
    made, planned = build(name, **HALF, offload=value)
    torch.cuda.reset_peak_memory_stats()
    shots = [shoot(made, planned) for _ in range(2)]
    for shot in shots:
        assert [key for key in ("offload", "device") if not shot.applied(key)] == []
        assert shot.differs(baseline(name, **HALF)) < CLOSE


@pytest.mark.parametrize("method", ("bnb-int8", "bnb-nf4", "torchao-int8wo", "torchao-int8dyn", "torchao-fp8wo",
                                    "torchao-fp8dyn", "fp8-layerwise"))  # fmt: skip
@pytest.mark.parametrize("where", ("none", "model", "group"))
def test_quantised(method, where):
    shot = run("flux-schnell", **HALF, quantize=method, offload=where)
    assert [key for key in ("quantize", "offload", "device") if not shot.applied(key)] == []
    assert shot.differs(baseline("flux-schnell", **HALF)) < 0.08


@pytest.mark.parametrize("settings", [
    {"tf32": "all"}, {"tf32": "none"}, {"cudnn_benchmark": True}, {"channels_last": "both"}, {"fused_qkv": True},
    {"grad_mode": "inference_mode"}, {"memory_fraction": 0.9}, {"expandable_segments": True},
    {"cache_clearing": "each_call"},
], ids=str)  # fmt: skip
def test_switches(settings):
    shot = run("sdxl-inpaint", device="cuda", **settings)
    assert [key for key in settings if not shot.applied(key)] == []
    assert shot.differs(baseline("sdxl-inpaint", device="cuda")) < CLOSE
