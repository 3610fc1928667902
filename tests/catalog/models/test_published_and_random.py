"""Where weights come from: full-size random ones, their sizes, and what a model's weights are said to weigh."""

import importlib
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mic2e_bench import paths
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import published, random, sources
from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import probes

# parameters of the published checkpoints, in millions
SIZES = {
    "SDXL_UNET": 2567.5,  # the base's 2567.46 and five more input channels
    "SDXL_VAE": 83.65,
    "FLUX_VAE": 83.8,
    "CLIP_TEXT_L": 123.06,
    "CLIP_TEXT_BIG_G": 694.66,
    "CLIP_VIT_L": 427.6,
    "T5_XXL": 4762.3,
    "QWEN3_4B": 4022.5,
}
DENOISERS = {"flux-schnell": ("transformer", 11891), "z-image-turbo": ("transformer", 6154.9), "sam3": ("model", 860)}


def on_meta(path, config):
    """A module without storage: instant at any size."""
    module, _, name = path.rpartition(".")
    kind = getattr(importlib.import_module(module), name)
    config_class = getattr(kind, "config_class", None)
    with torch.device("meta"):
        return kind(config_class(**config)) if config_class else kind(**config)


def millions(module):
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


@pytest.mark.parametrize("name", SIZES)
def test_published_sizes(name):
    assert millions(on_meta(*getattr(published, name))) == pytest.approx(SIZES[name], rel=0.01)


@pytest.mark.parametrize("name", DENOISERS)
def test_published_sizes_of_denoisers(name):
    part, size = DENOISERS[name]
    wanted = registry.pipeline(name).architecture({"prompt_kind": "text"})[part]
    tolerance = 0.05 if name == "sam3" else 0.01
    assert millions(on_meta(*wanted)) == pytest.approx(size, rel=tolerance)


@pytest.mark.parametrize("name", registry.pipelines())
def test_every_component_has_an_architecture(name):
    pipeline = registry.pipeline(name)
    assert set(pipeline.architecture({"prompt_kind": "text"})) == set(pipeline.components)
    assert pipeline.denoiser in pipeline.components


def shrunken(pipeline):
    """The published architecture, made small where a configuration says a size."""
    small = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "head_dim": 16, "vocab_size": 2000, "d_model": 32, "d_ff": 48, "d_kv": 8,
        "num_layers": 2, "num_heads": 4, "block_out_channels": (32, 32, 32), "norm_num_groups": 8, "projection_dim": 32,
        "cross_attention_dim": 64, "transformer_layers_per_block": 1, "attention_head_dim": 2,
        "projection_class_embeddings_input_dim": 32 + 6 * 256,
        "down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3,
    }  # fmt: skip
    blocks = ("down_block_types", "up_block_types")

    def shrink(path, config):
        if "UNet" in path:
            config = {**config, **{key: config[key] for key in blocks}}
            return path, {key: value if key in blocks else small.get(key, value) for key, value in config.items()}
        if "Transformer2D" in path:
            return path, SMALL_TRANSFORMERS[path]
        return path, {
            key: shrink("", value)[1] if isinstance(value, dict) else small.get(key, value)
            for key, value in config.items()
        }

    wanted = pipeline.architecture
    parts = lambda arguments: {name: shrink(*part) for name, part in wanted(arguments).items()}  # noqa: E731
    return replace(pipeline, architecture=parts)


SMALL_TRANSFORMERS = {
    "diffusers.FluxTransformer2DModel": {
        "in_channels": 64, "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16, "num_attention_heads": 2,
        "joint_attention_dim": 32, "pooled_projection_dim": 32, "axes_dims_rope": (4, 6, 6),
    },
    "diffusers.ZImageTransformer2DModel": {
        "dim": 96, "n_layers": 1, "n_refiner_layers": 1, "n_heads": 3, "n_kv_heads": 3, "cap_feat_dim": 32,
        "axes_dims": [8, 12, 12],
    },
}  # fmt: skip


class Dtypes(TorchDispatchMode):
    """The floating-point types of all tensors with more than one number that any operator makes in the block."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(one, torch.Tensor) and one.is_floating_point() and one.numel() > LARGEST_TABLE:
                self.seen.add((one.dtype, one.device.type))
        return made


LARGEST_TABLE = 1024  # schedulers' tables and rotary frequencies are made in float32 on purpose


@pytest.mark.parametrize("name", ["objectclear", "sdxl-inpaint", "flux-schnell", "z-image-turbo"])
def test_random_weights_never_pass_through_float32(name):
    pipeline = shrunken(registry.pipeline(name))
    build = Build(pipeline, load={"dtype": torch.bfloat16})
    with Dtypes() as made:
        build.pipe = random.assemble(build)
    assert made.seen == {(torch.bfloat16, "cpu")}
    for module in build.modules().values():
        for parameter in module.parameters():
            assert parameter.dtype == torch.bfloat16 and torch.isfinite(parameter).all()
            assert not parameter.requires_grad
        assert not module.training
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize(
    ("model", "said"),
    [("bundled", "no model of nobody is bundled: give a folder"), ("random", "its file in .* gives no 'unweighted'")],
)
def test_a_pipeline_without_a_bundled_model_says_so(model, said):
    pipeline = replace(registry.pipeline("flux-schnell"), name="nobody")
    with pytest.raises(BadInput, match=said):
        sources.resolve(model, pipeline, "x.yaml")
    whole = replace(pipeline, unweighted=lambda: {"tokenizer": "a tokenizer"})
    assert random.unweighted(whole) == {"tokenizer": "a tokenizer"}
    assert sources.resolve("random", whole, "x.yaml") == {"source": "random"}


def test_random_weights_are_born_on_their_device():
    with random.made_in("meta", torch.float16):
        layer = torch.nn.Linear(2, 2)
    assert {(p.device.type, p.dtype) for p in layer.parameters()} == {("meta", torch.float16)}
    assert torch.nn.Linear(2, 2).weight.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", registry.pipelines())
def test_weights_bytes_is_the_sum_over_parameters_and_buffers(name, dtype):
    pipeline = registry.pipeline(name)
    arguments = {"prompt_kind": "text"} if name == "sam3" else {}
    pipe = pipeline.loaded(str(paths.BUNDLED / name), dtype=dtype, **arguments)
    modules = Build(pipeline, pipe=pipe).modules()
    assert set(modules) == set(pipeline.components)
    tensors = {id(t): t for m in modules.values() for t in (*m.parameters(), *m.buffers())}
    assert probes.weights_bytes(modules) == sum(t.numel() * t.element_size() for t in tensors.values())


def test_weights_bytes_counts_what_is_stored():
    one, tied = torch.nn.Linear(8, 8, bias=False), torch.nn.Linear(8, 8, bias=False)
    tied.weight = one.weight
    assert probes.weights_bytes({"one": one, "tied": tied}) == 8 * 8 * 4
    one.register_buffer("steps", torch.zeros(3, dtype=torch.int64))
    assert probes.weights_bytes({"one": one}) == 8 * 8 * 4 + 24
