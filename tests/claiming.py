"""Made-up records for the tests of the guides' claims."""

from __future__ import annotations

from dataclasses import replace

from mic2e_bench.machine import environment
from mic2e_bench.plan import params
from mic2e_bench.records import record
from mic2e_bench.records.comparable import MEASURED
from mic2e_bench.tools.claims import answers, judge

ORIGINAL = {"steps": 20, "resolution": 512, "guidance": 2.5, "precision": "fp32"}


def put(results, settings, *, seconds=(1.0, 1.0, 1.0), status="ok", reason="", label="x", study="any", **parts):
    """A record of these settings in the folder; labels and studies are what they like."""
    given = {"pipeline": parts.pop("pipeline", "objectclear"), "model": parts.pop("model", "bundled")}
    given |= {"study": study, "baseline": {"device": "cpu", **settings}, "metrics": [], "inputs": {"limit": 1}}
    trial = params.resolve_study(given).baseline
    trial = replace(trial, label=label, settings={**trial.settings, **settings})
    here = {**environment.here("cpu"), "device": "a CPU", **parts.pop("environment", {})}
    timing = {"load_s": 2.0, "first_call_s": 9.0, **rounds(seconds)} if status in MEASURED else {}
    made = record.make(trial, status, reason, timing=timing, environment=here, **parts)
    record.write(results, made)
    return made


def rounds(seconds):
    """Samples of eight rounds, each on a build of its own, which all records take part in."""
    samples = [seconds[index % len(seconds)] for index in range(8)]
    return {"latency_s": samples, "rounds": "r", "builds": list(range(8)), "placebo_s": samples}


def scored(value, against, **more):
    entry = {"value": value, "ci95": None, "unit": "%", "better": "higher", "against": against, "visible": True, "n": 8}
    return {"quality": {**entry, "backbone": "alex, untrained (seed 0) stand-in", **more}}


def outcome(results, claim):
    return judge.judge(claim, answers.load(results)[0])
