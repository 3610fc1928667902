"""Records that have everything a record can have, made without measuring: what damage is tried on."""

import hashlib
import json

from made_records import picture

from mic2e_bench.machine import environment
from mic2e_bench.plan import params
from mic2e_bench.records import record

ENTRY = {
    "unit": "1", "better": "lower", "backbone": "a stand-in", "stamp": "a", "n": 1, "floor": 0.01, "visible": True,
    "floor_of": "a repeat", "ci95": [0.1, 0.3],
}  # fmt: skip


def study(pipeline="objectclear", **changes):
    """A plan of a baseline and three more trials."""
    inputs = {"source": "bundled", "limit": 1}
    given = {"study": f"whole-{pipeline}", "pipeline": pipeline, "inputs": inputs, "baseline": {"device": "cpu"}}
    return params.resolve_study({**given, "vary": {"threads": [1, 2, 3]}, **changes})


def write(results, of, trial, number, status="ok", **changes):
    """The record of a trial with seconds of about ``number``; ``changes`` replace its parts. Returns its path."""
    measured, settings = status in ("ok", "not_applied"), trial.content["settings"]
    receipts = {name: {"asked": value, "seen": value, "applied": True, "how": "seen", "reason": ""}
                for name, value in settings.items()}  # fmt: skip
    parts = {"receipts": receipts, "environment": where()}
    if measured:
        parts |= {"timing": timing(number), "memory": memory(), "images": images(results / of.name, trial, number)}
        parts |= {"quality": quality(of, number), "cost": cost()}
    made = record.make(trial, status, "" if status == "ok" else "why", **parts).raw
    path = results / of.name / f"{trial.id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**made, **changes}))
    return path


def where():
    times = {"started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:01:00+00:00"}
    more = {"disturbed": [], "remarks": ["slow"], "during": {"seconds": 9.0}, "torch_build": {"cuda": "12"}}
    return {**environment.here("cpu"), **times, **more}


def timing(number):
    samples = [number * 0.9, number * 1.0, number * 1.1]
    return {
        "load_s": 1.5, "load_parts_s": {"place": 0.1}, "first_call_s": 9.0, "latency_s": samples, "warmup_s": [1.0],
        "calls_s": 20.0, "import_s": 5.0, "witnessed_s": 2.0, "component_s": {"unet": [1.0]}, "energy_j": samples,
        "rounds": "r", "warnings": ["drift"], "ended_by": {"warmup": "count"},
    }  # fmt: skip


def memory():
    sizes = {"weights_bytes": 10**8, "peak_rss_bytes": 9 * 10**8, "load_peak_rss_bytes": 8 * 10**8}
    return {**sizes, "phases": {"encode": {"rss_bytes": 10**8}}}


def images(folder, trial, number):
    name = f"images/{number}.png"
    picture(folder / name, number)
    stored = {"file": name, "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}
    return [{"input": next(iter(trial.inputs["items"])), "seed": 42, **stored, "again": stored}]


def quality(of, number):
    entry = {**ENTRY, "against": of.baseline.id}
    percent = {**entry, "unit": "%", "better": "higher", "value": 100.0 - number, "ci95": None, "anchor": "the input"}
    return {"lpips": {**entry, "value": 0.2}, "quality": percent, "iou": {**entry, "value": 0.5, "backbone": None}}


def cost():
    ceilings = {"dtype": "float32", "matmul_flops_per_s": 1e12, "copy_bytes_per_s": 1e10}
    return {"flops": 1e9, "moved_bytes_estimate": 1e9, "reason": "", "ceilings": ceilings}


def change(path, **parts):
    """Replace parts of a stored record."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **parts}))
