"""The child: load → apply → observe → warm up → measure. One build a process, many calls of it.

Runs in a process forked from a server that has imported the libraries; tells the parent what it does through a pipe.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mic2e_bench import registry, settings
from mic2e_bench.build import Build
from mic2e_bench.ending import classify
from mic2e_bench.errors import BadInput, Unavailable
from mic2e_bench.toggle import Phase, Toggle
from mic2e_bench.trial import Trial

PR_SET_PDEATHSIG = 1


def main(trials: list[Trial], images: Path, pipe: Connection) -> None:
    """Measure trials that share a build.

    Sends ``("stage", text, share)`` on the way, and for each trial ``("done", id, parts)`` or ``("failed", id, status,
    reason)``. With ``protocol.interleave`` the parts have no timed calls yet: it then serves them, see ``serve``.
    """
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    from mic2e_bench import cost, measure

    with contextlib.suppress(BrokenPipeError):
        timed = {trial.id: None for trial in trials}
        if trials[0].settings.get("process") == "per_call":
            timed = _restarted(trials, pipe)
        trials = [trial for trial in trials if trial.id in timed]
        if not trials:
            return
        with _failures(pipe, [trial.id for trial in trials]) as loading:
            build, load = make_build(trials[0], pipe)
        if loading:
            return
        for trial in trials:
            with _failures(pipe, [trial.id]):
                next_trial(build, trial)
                build.notes["restarts"] = (timed[trial.id] or {}).get("restarts")
                parts = measure.measure(build, trial, images, _teller(pipe), timed[trial.id])
                parts["receipts"] = receipts(build, trial)
                parts["timing"].update(load["timing"])
                parts["memory"] = _with_load(parts["memory"], load["memory"])
                if trial.protocol.get("cost"):
                    parts["cost"] = cost.of_trial(build, trial)
                pipe.send(("done", trial.id, parts))
        if trials[0].is_in_rounds:
            serve(build, trials, pipe)


def die_with_parent() -> None:
    """Have the kernel end this process when its parent ends, however that is: never outlive a killed runner."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _teller(pipe: Connection) -> Callable[[str, float], None]:
    return lambda text, share: pipe.send(("stage", text, share))


def _restarted(trials: list[Trial], pipe: Connection) -> dict[str, Any]:
    """The time pass of trials whose every call has its own process, by trial id; failed ones are not in it.

    It comes before this process loads anything, because what it forks must find no threads and no device in use.
    """
    from mic2e_bench import restarts

    timed = {}
    for trial in trials:
        with _failures(pipe, [trial.id]):
            timed[trial.id] = restarts.time_pass(trial, _teller(pipe))
    return timed


def serve(build: Build, trials: list[Trial], pipe: Connection) -> None:
    """Make one timed call of the trial that the parent names, and sleep until the next name, until it hangs up.

    Sends ``("done", id, call)`` (see ``measure.timed_call``) or ``("failed", id, status, reason)``.
    """
    from mic2e_bench import inputs, measure

    known, item, ready = {trial.id: trial for trial in trials}, inputs.read(trials[0].inputs)[0], None
    with contextlib.suppress(EOFError):
        while True:
            trial = known[pipe.recv()]
            with _failures(pipe, [trial.id]):
                if trial is not ready:
                    next_trial(build, trial)
                ready = trial
                pipe.send(("done", trial.id, measure.timed_call(build, item, trial.protocol["seeds"][0])))


def next_trial(build: Build, trial: Trial) -> None:
    """Make a build ready for the calls of one of its trials."""
    build.next_trial()
    apply(build, trial, Phase.CALL, Phase.CALL)


def make_build(trial: Trial, pipe: Connection | None = None) -> tuple[Build, dict[str, Any]]:
    """Load the pipeline of a trial and apply everything up to the call. Returns it with what loading cost."""
    from mic2e_bench import probes
    from mic2e_bench.models import load

    if pipe:
        pipe.send(("stage", "load", 0.0))
    if lacking := settings.missing(trial.settings):
        raise Unavailable(lacking)
    device, pipeline = trial.settings["device"], registry.pipeline(trial.pipeline)
    build = Build(pipeline, device=device, model=trial.model, settings=trial.settings)
    parts: dict[str, float] = {}
    with probes.memory("cpu", phase="load") as peaks, probes.clock("cpu") as elapsed:
        with _timed(parts, "read"):
            apply(build, trial, Phase.LOAD, Phase.LOAD)
            build.pipe = load.load(build, trial.model)
        with _timed(parts, "modify"):
            apply(build, trial, Phase.MODIFY, Phase.MODIFY)
        weights = probes.weights_bytes(build.modules())
        with _timed(parts, "place"):
            apply(build, trial, Phase.PLACE, Phase.PLACE)
            probes.synchroniser(device)()
        with _timed(parts, "compile"):
            apply(build, trial, Phase.COMPILE, Phase.COMPILE)
            probes.synchroniser(device)()
    memory = {
        "weights_bytes": weights,
        "load_peak_rss_bytes": peaks.rss_bytes,
        "rss_before_load_bytes": peaks.rss_before_bytes,
        "phases": {"load": {**peaks.phases["load"], **probes.vram_since_start()}},
    }
    libraries = sys.modules.get("mic2e_bench.preload")
    timing = {"import_s": getattr(libraries, "IMPORT_S", None), "load_s": elapsed.seconds, "load_parts_s": parts}
    return build, {"timing": timing, "memory": memory}


@contextlib.contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start


def _with_load(call: dict[str, Any], load: dict[str, Any]) -> dict[str, Any]:
    """The memory of a call with that of loading, the phases in their order."""
    return {**call, **load, "phases": {**load["phases"], **call.get("phases", {})}}


def apply(build: Build, trial: Trial, first: Phase, last: Phase) -> None:
    """Apply the trial's toggles of these phases, in order."""
    for toggle, value in _toggles(trial):
        if first <= toggle.phase <= last:
            toggle.apply(build, value)


def receipts(build: Build, trial: Trial) -> dict[str, dict[str, Any]]:
    """What was asked and what the live object shows, for every toggle."""
    return {toggle.name: receipt(build, toggle, asked) for toggle, asked in _toggles(trial)}


def receipt(build: Build, toggle: Toggle, asked: Any) -> dict[str, Any]:
    """What was asked of one toggle and what the live object shows."""
    seen = toggle.observe(build, asked)
    applied = seen.value == asked if seen.applied is None else seen.applied
    found = {"asked": asked, "seen": seen.value, "applied": applied, "how": seen.how}
    return found if applied else {**found, "reason": seen.reason or f"asked {asked}, seen {seen.value}"}


def _toggles(trial: Trial) -> Iterator[tuple[Toggle, Any]]:
    known = registry.toggles()
    for name in sorted(trial.settings, key=lambda name: (known[name].phase, name)):
        yield known[name], trial.settings[name]


@contextlib.contextmanager
def _failures(pipe: Connection, ids: list[str]) -> Iterator[list[str]]:
    """Turn an exception in the block into a ``failed`` message for these trials; the yielded list is then not empty."""
    failed: list[str] = []
    try:
        yield failed
    except Exception as error:
        failed.append(classify(error))
        traceback.print_exc(file=sys.stderr)
        for id in ids:
            pipe.send(("failed", id, failed[0], describe(error)))


def describe(error: BaseException) -> str:
    """An exception in one line, with the place in our or the library's code where it was raised."""
    text = " ".join(str(error).split())[:500]
    if isinstance(error, (Unavailable, BadInput)):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{place}"
