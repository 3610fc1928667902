"""What a call was seen to do: the proof for the receipts."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Witness:
    """Facts of one call. ``denoiser`` has one (batch size, dtype) a call; ``attention`` counts its kernels by name."""

    denoiser: list[tuple[int, str]] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)  # height, width that the VAE decoded, pixels
    steps: int = 0
    guidance: list[float] = field(default_factory=list)  # the pipeline's scale at the end of each step
    decoded: int = 0  # images that the VAE decoded
    projections: list[int] = field(default_factory=list)  # calls of query projections, for each denoiser call
    decoder_dtype: str | None = None
    attention: Counter = field(default_factory=Counter)
    component_s: dict[str, list[float]] = field(default_factory=dict)
    device: str | None = None  # of the denoiser's input
    inference_mode: bool | None = None  # whether the denoiser ran in it
    vae_calls: Counter = field(default_factory=Counter)  # of the methods in VAE_PARTS


@contextlib.contextmanager
def replaced(module: Any, entry: str, call: Callable[..., Any]) -> Iterator[None]:
    """Have ``call(method, *args, **kwargs)`` stand in for a method of one live module during the block.

    An in-place compiled module does not go through ``forward``: there its compiled call is what is replaced.
    """
    if entry == "forward" and getattr(module, "_compiled_call_impl", None) is not None:
        entry = "_compiled_call_impl"
    inner, had_own = getattr(module, entry), entry in vars(module)
    setattr(module, entry, functools.partial(call, inner))
    try:
        yield
    finally:
        if had_own:
            setattr(module, entry, inner)
        else:
            delattr(module, entry)
