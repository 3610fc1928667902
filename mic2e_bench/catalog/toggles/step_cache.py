"""Parts of a denoising step that are taken over from an earlier step."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle
from mic2e_bench.errors import Unavailable

NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
DEFAULTS = {"first-block": "0.1", "cache-dit": "0.08", "pab": "2", "faster": "2", "taylorseer": "2"}
THRESHOLDS = ("first-block", "cache-dit")


def parse(value: Any, pipeline: Any) -> str:
    if value == "none":
        return value
    name, colon, number = value.partition(":") if isinstance(value, str) else ("", "", "")
    number = number if colon else DEFAULTS.get(name, "")
    fits = name in THRESHOLDS or (number.isdigit() and int(number) >= 2)
    if name not in DEFAULTS or not NUMBER.fullmatch(number) or not fits:
        raise ValueError(
            "one of none, first-block:THRESHOLD, cache-dit:THRESHOLD, pab:N, faster:N, taylorseer:N (N from 2)"
        )
    return f"{name}:{float(number) if name in THRESHOLDS else int(number)}"


def missing(value: str, device: str) -> str:
    if value.startswith("cache-dit") and importlib.util.find_spec("cache_dit") is None:
        return "the package cache_dit is not installed (uv pip install cache-dit)"
    return ""


def apply(build: Build, value: str) -> None:
    if value == "none":
        return
    name, number = value.split(":")
    if name == "cache-dit":
        _cache_dit(build, float(number))
    else:
        build.denoiser.enable_cache(_config(build, name, number))


def _cache_dit(build: Build, threshold: float) -> None:
    """Its block cache, with the first block as the probe: the default of eight is more than small models have."""
    if lacking := missing("cache-dit", build.device):
        raise Unavailable(f"step_cache cache-dit: {lacking}")
    import cache_dit

    config = cache_dit.DBCacheConfig(Fn_compute_blocks=1, max_warmup_steps=2, residual_diff_threshold=threshold)
    cache_dit.enable_cache(build.pipe, cache_config=config)


def _config(build: Build, name: str, number: str) -> Any:
    """diffusers' configuration of one cache: pab at all timesteps, faster in the later part, as it must."""
    import diffusers
    import torch

    if name == "first-block":
        return diffusers.FirstBlockCacheConfig(threshold=float(number))
    if name == "taylorseer":
        return diffusers.TaylorSeerCacheConfig(
            cache_interval=int(number), disable_cache_before_step=2, taylor_factors_dtype=torch.float32
        )
    every = {
        "spatial_attention_block_skip_range": int(number),
        "current_timestep_callback": lambda: build.pipe.current_timestep,
    }
    if name == "pab":
        return diffusers.PyramidAttentionBroadcastConfig(spatial_attention_timestep_skip_range=(-1, 1001), **every)
    # no guidance whose unconditional half could be left out; the library's own default weight, said explicitly
    return diffusers.FasterCacheConfig(
        is_guidance_distilled=True, attention_weight_callback=lambda module: 0.5, **every
    )


def observe(build: Build, value: str) -> Seen:
    """The cache on the live model, and how many attention projections ran in place of how many."""
    config = getattr(build.denoiser, "_cache_config", None)
    live = type(config).__name__ if config else "cache-dit" if getattr(build.denoiser, "_is_cached", False) else None
    calls = build.witness.projections
    ran, all_of_them = sum(calls), max(calls, default=0) * len(calls)
    if live is None:
        return Seen("none", f"no cache on {type(build.denoiser).__name__}")
    if not all_of_them:
        return Seen(value, f"{live}; what it skipped is not counted in compiled code", applied=True)
    how = f"{live}; {ran} of {all_of_them} attention projections ran, by call: {', '.join(map(str, calls))}"
    reason = "it skipped nothing: every step differed too much, or there are too few steps"
    return Seen(value if ran < all_of_them else "none", how, reason=reason)


def code(value: str, settings: Settings, pipeline: Pipeline) -> Code | None:
    if value == "none":
        return Code()
    name, number = value.split(":")
    made = {
        "first-block": f"FirstBlockCacheConfig(threshold={number})",
        "taylorseer": f"TaylorSeerCacheConfig(cache_interval={number}, disable_cache_before_step=2, "
        "taylor_factors_dtype=torch.float32)",
    }.get(name)
    if made is None:
        return None
    imports = ("import torch", f"from diffusers import {made.partition('(')[0]}")
    return Code(lines=f"pipe.{pipeline.denoiser}.enable_cache({made})", imports=imports)


STEP_CACHE = Toggle(
    name="step_cache",
    phase=Phase.MODIFY,
    values="none | first-block:THRESHOLD | pab:N | faster:N | taylorseer:N | cache-dit:THRESHOLD",
    default="none",
    parse=parse,
    apply=apply,
    observe=observe,
    cost="real",
    about="Steps resemble each other: first-block and cache-dit skip the blocks after a first that changed little;\n"
    "pab and faster reuse attention, taylorseer extrapolates it, each Nth step in full. Little to gain in few steps.",
    source="docs: diffusers, 'Caching'; arXiv 2408.12588, 2410.19355, 2503.06923",
    fits=lambda pipeline: pipeline.task != "segmentation",
    missing=missing,
    code=code,
)
