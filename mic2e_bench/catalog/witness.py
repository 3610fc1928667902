"""What a call was seen to do: the proof for the receipts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


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
    finite: bool = True  # whether all that the VAE decoded are numbers
