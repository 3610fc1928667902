"""ObjectClear's golden cases. The denoiser and the VAE of their model are drawn anew from a seed instead of stored."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file

FOLDER = Path(__file__).parent / "catalog" / "models" / "objectclear_golden"
SEED = 11
STORED = 279904  # numbers that were drawn before, for the parts that are stored
SHARPENED = ("attn2.to_q.weight", "attn2.to_k.weight")  # times 6: the attention map then has contrast
# by part: all its numbers, in the order of their names, times a ramp from -1 to 1, summed
SUMS = {"unet": -4.557742, "vae": 37.947416}


@functools.cache
def model():
    """The folder of the golden model, whole; it goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="mic2e-bench-golden-")) / "model"
    atexit.register(shutil.rmtree, folder.parent, ignore_errors=True)
    shutil.copytree(FOLDER / "model", folder)
    for part, made in draw().items():
        state = made.state_dict()
        if abs(summed(state) - SUMS[part]) > 1e-3:
            pytest.fail(
                f"torch {torch.__version__} draws other numbers from seed {SEED} than the golden model is made of "
                f"({part}: {summed(state):.6f}, not {SUMS[part]:.6f}): this says nothing of the pipeline"
            )
        save_file(state, folder / part / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    return folder


def draw():
    """Both parts, one after the other from one seed; the global random state stays what it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        torch.rand(STORED)
        kinds = {"unet": UNet2DConditionModel, "vae": AutoencoderKL}
        parts = {name: kind.from_config(kind.load_config(FOLDER / "model" / name)) for name, kind in kinds.items()}
    with torch.no_grad():
        for name, weight in parts["unet"].named_parameters():
            if name.endswith(SHARPENED):
                weight *= 6
    return parts


def summed(state):
    """Another draw gives another sum; the last bit of a number, which depends on the processor, does not."""
    flat = torch.cat([state[name].flatten() for name in sorted(state)]).double()
    return float(flat @ torch.linspace(-1, 1, len(flat), dtype=torch.float64))
