"""Shared by the tests of toggles: one tiny call of a real pipeline, as the worker makes it, with its receipts."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helpers
import numpy as np
import torch
from diffusers import Transformer2DModel
from PIL import Image

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.pipeline import Build, Item
from mic2e_bench.plan.settings import resolve
from mic2e_bench.plan.trial import Trial
from mic2e_bench.run import assemble
from mic2e_bench.run.memory_pass import Shots

SMALL = {"steps": 2, "resolution": 64, "threads": 1, "device": "cpu"}
SIZE = (96, 64)
ITEM = Item("in0", helpers.picture(SIZE), helpers.mask(SIZE), **helpers.TEXTS, box=(8, 8, 40, 40))
DIFFUSERS = ("sdxl-inpaint", "objectclear", "flux-schnell", "z-image-turbo")


@dataclass
class Shot:
    """What a call left: the image (0 to 1), the receipts and the build."""

    image: np.ndarray
    receipts: dict[str, dict[str, Any]]
    build: Build

    def applied(self, name: str) -> bool:
        return self.receipts[name]["applied"]

    def off_by(self, other: Shot) -> float:
        """The greatest difference of a pixel."""
        return float(np.abs(self.image - other.image).max())

    def differs(self, other: Shot) -> float:
        """The mean difference of the pixels."""
        return float(np.abs(self.image - other.image).mean())


def trial(name: str, **settings: Any) -> Trial:
    pipeline = registry.pipeline(name)
    known = registry.toggles_of(pipeline)
    small = {key: value for key, value in SMALL.items() if key in known}
    resolved = resolve({**small, **settings}, pipeline, "test")
    content = {"pipeline": name, "model": {"source": "bundled"}, "inputs": {"items": {}}, "protocol": {}}
    return Trial.of("test", name, {**content, "settings": resolved})


def build(name: str, **settings: Any) -> tuple[Build, Trial]:
    planned = trial(name, **settings)
    made, _ = assemble.make_build(planned)
    return made, planned


class Passes(torch.nn.Module):
    """In place of a transformer of a UNet: what goes in comes out."""

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> tuple[torch.Tensor]:
        return (hidden_states,)


def short(name: str, **settings: Any) -> tuple[Build, Trial]:
    """A build whose denoiser has one block of each kind: what traces or exports it takes time by the block.

    Of a UNet that is the first transformer, whose cross-attention ObjectClear looks at; nothing was called yet.
    """
    made, planned = build(name, **settings)
    for kind in ("transformer_blocks", "single_transformer_blocks"):
        if hasattr(made.denoiser, kind):
            setattr(made.denoiser, kind, getattr(made.denoiser, kind)[:1])
    if made.pipeline.family == "unet":
        kept = next(module for module in made.denoiser.modules() if isinstance(module, Transformer2DModel))
        for block in [*made.denoiser.down_blocks, made.denoiser.mid_block, *made.denoiser.up_blocks]:
            for index, one in enumerate(getattr(block, "attentions", ())):
                block.attentions[index] = one if one is kept else Passes()
    return made, planned


def shoot(made: Build, planned: Trial) -> Shot:
    """One call with the witness."""
    assemble.next_trial(made, planned)
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        images.mkdir()
        shots = Shots(made, images)
        shots.take(ITEM, 1)
        image = np.asarray(Image.open(Path(folder) / shots.images[0]["file"])).astype(float) / 255
    return Shot(image, assemble.receipts(made, planned), made)


def run(name: str, **settings: Any) -> Shot:
    return shoot(*build(name, **settings))


@functools.cache
def baseline(name: str, **settings: Any) -> Shot:
    """The same without the toggle; one call for all tests of a process."""
    return run(name, **settings)


def tolerance(name: str) -> float:
    """The declared one, in pixels of an 8-bit image."""
    return registry.toggles()[name].tolerance + 0.5 / 255


def fresh_is_untouched(*names: str) -> bool:
    """Assert that a build after all others shows nothing of them, and makes the same image."""
    for name in names:
        shot = run(name)
        assert [key for key in shot.receipts if not shot.applied(key)] == []
        assert shot.off_by(baseline(name)) == 0
    return True
