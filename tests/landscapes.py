"""Landscapes that nobody measured, to try searches on: formulas with noise, over the axes that real ones have."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import numpy as np

from mic2e_bench.catalog import registry
from mic2e_bench.plan import params
from mic2e_bench.tools.tune.space import Axis
from mic2e_bench.workshop.proof.landscape_file import Known, Landscape

Formula = Callable[[Mapping, np.random.Generator], tuple[float, float, float]]  # latency, memory, quality


def pixels(given, of=256):
    return (given["resolution"] / of) ** 2


def smooth(given, rng):
    """As on a CPU: steps times pixels, twice with guidance, half in 16 bits; memory by pixels; quality saturates."""
    guided = 2 if given["guidance"] > 1 else 1
    latency = 0.05 + 0.05 * given["steps"] * (0.1 + pixels(given)) * guided
    latency *= (0.5 if given["precision"] == "bf16" else 1) * (1.3 if given["attention"] == "sliced:1" else 1)
    memory = 600 + 90 * pixels(given) * (0.8 if given["attention"] == "sliced:1" else 1) * (1 + 0.2 * (guided - 1))
    memory += 10 if given["precision"] == "bf16" else 21
    quality = 100 * (1 - np.exp(-given["resolution"] / 70)) * (1 - 0.6 * np.exp(-given["steps"] / 2.5))
    quality -= 3 * abs(given["guidance"] - 2.2) + (1 if given["precision"] == "bf16" else 0)
    return latency * np.exp(0.03 * rng.normal()), memory + 4 * rng.normal(), quality + 0.1 * rng.normal()


def noisy(given, rng):
    """The same on a busy machine."""
    latency, memory, quality = smooth(given, rng)
    return latency * np.exp(0.08 * rng.normal()), memory + 10 * rng.normal(), quality


def interacting(given, rng):
    """As on a GPU: offloading, quantising and tiling work on each other; steps cost more where weights travel."""
    slower, bits = {"none": (1, 12), "bnb-int8": (1.2, 7), "bnb-nf4": (1.4, 4.5)}[given["quantize"]]
    waits, kept = {"none": (0, 1), "model": (1.0, 0.6), "sequential": (0.3 * given["steps"], 0.1)}[given["offload"]]
    latency = 0.3 + 0.2 * given["steps"] * pixels(given, 512) ** 1.2 * slower + waits
    memory = bits * kept + 1.5 * pixels(given, 512) * (0.4 if given["vae_tiling"] else 1)
    quality = 100 * (1 - np.exp(-given["resolution"] / 200)) * (1 - 0.8 * np.exp(-given["steps"] / 5))
    quality -= {"none": 0, "bnb-int8": 2, "bnb-nf4": 7}[given["quantize"]] + (1.5 if given["vae_tiling"] else 0)
    return latency * np.exp(0.02 * rng.normal()), memory, quality + 0.3 * rng.normal()


def crossing(given, rng):
    """Each scheduler has steps and guidance of its own that suit it."""
    schedulers = {
        "ddim": (12, 3.5, 97),
        "dpm": (6, 3, 99),
        "unipc": (5, 2.5, 98),
        "lcm": (2, 1, 80),
    }
    need, best, top = schedulers[given["scheduler"]]
    guided = 2 if given["guidance"] > 1 else 1
    cached, extra, harm = {"none": (1, 0, 0), "first-block:0.1": (0.6, 60, 25), "pab:2": (0.75, 120, 14)}[
        given["step_cache"]
    ]
    latency = 0.05 + 0.1 * pixels(given) * given["steps"] * guided * cached
    memory = 500 + 200 * pixels(given) * (1.3 if guided == 2 else 1) + extra * pixels(given)
    quality = top * (1 - np.exp(-given["steps"] / need * 1.6)) - 6 * abs(given["guidance"] - best)
    quality -= 25 * (1 - pixels(given)) + harm / given["steps"]
    return latency * np.exp(0.03 * rng.normal()), memory + 3 * rng.normal(), quality + rng.normal()


def rugged(given, rng):
    """No order anywhere: each value and each pair of values has an effect of its own."""
    effects = np.random.default_rng(7)
    values = [hash_of(name, value) for name, value in given.items()]
    sums = []
    for _ in range(3):
        own, pairs = effects.normal(size=97), effects.normal(size=(97, 97))
        total = sum(own[v] for v in values) + 0.35 * sum(pairs[a, b] for a, b in itertools.combinations(values, 2))
        sums.append(total + 0.1 * rng.normal())
    return np.exp(0.5 * sums[0]), 500 * np.exp(0.2 * sums[1]), 80 + 8 * np.clip(sums[2], -5, 2.3)


def hash_of(name, value):
    return sum(f"{name}={value}".encode()) % 97


GUIDED = {"guidance": [1.0, 1.5, 2.5]}
SIZES = {"resolution": [96, 128, 160, 192, 224, 256]}
SHAPES: dict[str, tuple[Formula, dict[str, list]]] = {
    "smooth": (smooth, {"steps": [2, 3, 4, 6, 8, 12], **SIZES, **GUIDED, "precision": ["fp32", "bf16"],
                        "attention": ["native", "sliced:1"]}),
    "noisy": (noisy, {"steps": [2, 3, 4, 6, 8, 12], **SIZES, **GUIDED, "precision": ["fp32", "bf16"],
                      "attention": ["native", "sliced:1"]}),
    "interacting": (interacting, {"steps": [4, 8, 12, 20, 30], "resolution": [256, 384, 512, 768],
                                  "quantize": ["none", "bnb-int8", "bnb-nf4"],
                                  "offload": ["none", "model", "sequential"],
                                  "vae_tiling": [False, True]}),
    "crossing": (crossing, {"steps": [2, 4, 6, 8, 12, 16], "scheduler": ["ddim", "dpm", "unipc", "lcm"],
                            "guidance": [1.0, 2.0, 3.5], "resolution": [128, 256],
                            "step_cache": ["none", "first-block:0.1", "pab:2"]}),
    "rugged": (rugged, {"scheduler": list("abcd"), "attention": list("abcd"), "quantize": list("abc"),
                        "offload": list("abc"), "compile": list("abc")}),
}  # fmt: skip


def landscape(name: str, seed: int = 0) -> Landscape:
    """One of ``SHAPES`` as a sealed landscape, with the noise of a seed."""
    formula, given = SHAPES[name]
    rng = np.random.default_rng(seed)
    axes = tuple(Axis(setting, setting, tuple(values)) for setting, values in given.items())
    values = {}
    for point in itertools.product(*(range(len(axis.values)) for axis in axes)):
        chosen = {axis.setting: axis.values[index] for axis, index in zip(axes, point, strict=True)}
        latency, memory, quality = formula(chosen, rng)
        values[point] = (float(latency), float(memory), -float(quality))
    study = params.resolve_study({"pipeline": "objectclear"})
    space = Known(registry.pipeline("objectclear"), study.baseline.settings, axes, values)
    about = {"stand_ins": "formulas, not measured", "environment": {"device": "none", "finished": "2000-01-01"}}
    return Landscape.whole(name, space, ("latency", "memory", "quality"), about)
