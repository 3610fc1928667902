"""A stored grid of measured trials with drawn values, for the tests that choose among settings."""

import numpy as np
from helpers import tiny

from mic2e_bench.machine import environment
from mic2e_bench.plan import params
from mic2e_bench.records import record

GIB = 2**30


def grid(results, seed=0, vram=True, spread=0.01, told=(), **more):
    """A stored grid of measured trials with drawn values; returns the study."""
    study = params.resolve_study(
        tiny(study="grid", baseline={"steps": 20, "resolution": 512, "guidance": 2.5},
             vary={"steps": [2, 4, 8, 12, 20], "resolution": [256, 384, 512], "guidance": [1.0, 2.5]}, **more)
    )  # fmt: skip
    draw = np.random.default_rng(seed)
    for number, trial in enumerate(study.trials):
        quality = 100.0 if trial is study.baseline else round(float(draw.uniform(70, 99.9)), 1)
        stored(results, study, trial, float(draw.uniform(0.1, 6)), float(draw.uniform(2, 14)), quality, vram, spread,
               told=told[number % len(told)] if told else None)  # fmt: skip
    return study


def stored(results, study, trial, seconds, gib, quality, vram=True, spread=0.01, status="ok", told=None, **environ):
    memory = {"peak_vram_reserved_bytes" if vram else "peak_rss_bytes": int(gib * GIB)}
    samples = [seconds * (1 + spread * step) for step in (-1, -0.5, 0, 0.5, 1)]
    here = {**environment.here("cpu"), **environ}
    entry = {"unit": "%", "better": "higher", "against": study.baseline.id, "backbone": "trained stand-in",
             "value": quality, "ci95": None, "n": 1, "floor": 99.5, "anchor": "a", }  # fmt: skip
    entry |= {"told": told} if told else {}
    made = record.make(trial, status, "" if status == "ok" else "why", timing={"latency_s": samples}, memory=memory,
                       environment=here, quality={} if quality is None else {"quality": entry})  # fmt: skip
    record.write(results, made)
