"""Measure one trial on a live build: the warm-up, the time pass, the memory pass and the images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from mic2e_bench.catalog import painted
from mic2e_bench.catalog.kernels import can_count
from mic2e_bench.catalog.models import tokenizers
from mic2e_bench.catalog.pipeline import Build, Item
from mic2e_bench.catalog.toggles.backends import compiling
from mic2e_bench.machine import probes
from mic2e_bench.plan import inputs
from mic2e_bench.plan.protocol import MOST_WARMUP, most_calls
from mic2e_bench.plan.trial import Trial
from mic2e_bench.run import sampling
from mic2e_bench.run.memory_pass import Shots, store

SHORT = 2  # steps that warm up a later build of rounds
Tell = Callable[[str, float], None]
NextCall = Callable[[str], None]


def measure(build: Build, trial: Trial, images: Path, tell: Tell, timed: Mapping | None = None) -> dict[str, Any]:
    """The parts of a record: ``timing``, ``memory``, ``images``, ``invalid`` (why what
    any call gave are no pictures, a line each) and ``remarks`` (what of the inputs was not read, a line each).

    The order: a first call, on record as such and witnessed by nobody; the rest of the warm-up; the timed repeats;
    then, on every input and seed, one call for memory and the image; the first of them has the witness, the last of
    several the count of kernels, for which a single one has a short call before it. Time and memory never share a
    call. A baseline's first picture is then made once more for each kind of rounding (``catalog/rounding``).
    ``tell(stage, share)`` reports progress, never from inside a timed call. ``timed`` are the samples of a time
    pass that was made elsewhere; with ``protocol.interleave`` the repeats come later, in rounds.
    """
    items, protocol = inputs.read(trial.inputs), trial.protocol
    probes.start_afresh(build.device)  # of what the load and the build's earlier trials left, nothing counts
    wanted = [(item, seed) for item in items for seed in protocol["seeds"]]
    total = len(wanted) + (0 if timed else most_calls(protocol))
    calls = 0

    def next_call(stage: str) -> None:
        nonlocal calls
        tell(stage, min(1.0, calls / total))  # a warm-up may take more calls than were asked for
        calls += 1

    remarks = inputs.remarks(trial.inputs, build.pipeline, [trial.settings], tokenizers.of_pipe(build.pipe))
    timed = timed or time_pass(build, items[0], protocol, next_call)
    in_timed, build.faults = build.faults + timed.pop("faults", []), []
    shots = Shots(build, images)
    if len(wanted) == 1:
        shots.count_kernels(*wanted[0])
    for index, (item, seed) in enumerate(wanted, 1):
        next_call(f"image {item.name} seed {seed}")
        shots.take(item, seed, kernels=index == len(wanted) > 1)
    # the repeats had the first input and seed: their last picture tells how far two runs of one setting differ
    for stored, picture in zip(shots.images, build.latest, strict=False):
        stored["again"] = store(picture, images)
    if trial.is_baseline:
        shots.round(*wanted[0])
    samples = timed["warmup_s"] + timed["latency_s"]
    timing = {**timed, **shots.timing, "first_call_s": samples[0], "calls_s": sum(samples) + shots.calls_s}
    timing |= sampling.judge(timing)
    invalid = build.faults + [f"{line} in a timed call" for line in in_timed if line not in build.faults]
    return {"timing": timing, "memory": shots.memory, "images": shots.images, "invalid": invalid, "remarks": remarks}


def times(build: Build, trial: Trial, tell: Tell) -> dict[str, Any]:
    """``timing`` and ``invalid`` of the warm-up and the repeats alone: of a later build, and of the baseline again.

    A build of rounds that compiles nothing is warm after a call of two steps: the first timed call of twelve then took
    1.00, 1.01 and 1.03 times what the three after it did.
    """
    item, plain = inputs.read(trial.inputs)[0], can_count(build.denoiser) and trial.protocol["warmup"] == 1
    short = plain and trial.is_in_rounds and trial.settings.get("step_cache", "none") == "none"
    with build.shortened(SHORT) if short else nullcontext():
        timing = time_pass(build, item, trial.protocol, lambda stage: tell(f"again: {stage}", 0.0))
    return {"timing": timing, "invalid": build.faults}


def time_pass(build: Build, item: Item, protocol: Mapping[str, Any], next_call: NextCall) -> dict[str, Any]:
    """The warm-up and the repeats, one after the other on one input with one seed: samples, and what ended both."""
    samples: dict[str, Any] = {name: [] for name in ("warmup_s", "latency_s", "device_latency_s", "energy_j", "sm_mhz")}
    repeats = samples["latency_s"]
    samples["ended_by"] = {"warmup": warm_up(build, item, protocol, next_call, samples["warmup_s"])}
    if protocol.get("interleave"):  # the parent asks for the repeats, see rounds.py
        return samples
    while not (ended := sampling.enough(protocol["repeats"], repeats)):
        next_call(_numbered("repeat", repeats, protocol["repeats"]))
        sampling.add(samples, timed_call(build, item, protocol["seeds"][0]))
    samples["ended_by"]["repeats"] = ended
    return samples


def warm_up(build: Build, item: Item, protocol: Mapping, next_call: NextCall, seconds: list[float]) -> str:
    """The calls before those that count; adds to ``seconds`` and returns what ended them.

    A compiled denoiser is called on until a call compiled nothing and recorded no CUDA graph (``compiled``): that is
    done at the second call of a shape where a call has one step, and would else be part of a timed call.
    """
    # an engine exports at its first call
    preparing = compiling.prepared(build) is not None or build.settings.get("engine", "torch") != "torch"
    extended = False
    while not (ended := sampling.warm(protocol["warmup"], seconds)) or preparing:
        if len(seconds) >= MOST_WARMUP and ended:
            return "cap"
        extended = bool(ended)
        before = compiling.prepared(build)
        next_call(_numbered("warm-up", seconds, protocol["warmup"]))
        seconds.append(timed_call(build, item, protocol["seeds"][0])["latency_s"])
        preparing = compiling.prepared(build) != before
    return "compiled" if extended else ended


def _numbered(name: str, done: list[float], rule: Any) -> str:
    return f"{name} {len(done) + 1}" + (f"/{rule}" if isinstance(rule, int) else "")


def timed_call(build: Build, item: Item, seed: int) -> dict[str, float | None]:
    """One call as a user waits for it (resizing, pipeline, decoding, resizing back).

    ``latency_s`` in seconds by the wall clock; on a GPU ``device_latency_s`` by CUDA events, the ``energy_j`` of the
    whole device where its driver counts it, and its clock right after the call, ``sm_mhz``. What is wrong with its
    pictures goes to ``build.faults``.
    """
    on_gpu = build.device.startswith("cuda")
    before = probes.energy_j() if on_gpu else None
    with painted.kept(build) as made, probes.clock(build.device) as elapsed, build.around():
        build.latest = build.pipeline.call(build, item, seed)
    used = probes.energy_j() - before if before is not None else None
    call = {
        "latency_s": elapsed.seconds,
        "device_latency_s": elapsed.device_seconds,
        "energy_j": used,
        "sm_mhz": probes.sm_mhz() if on_gpu else None,
    }
    build.faults += painted.faults(build, item, seed, made, build.latest)[0]  # after all that is read of the call
    return call
