"""The child: load → apply → observe → warm up → measure. One build a process, many calls of it.

Runs in a process forked from a server that has imported the libraries; tells the parent what it does through a pipe.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mic2e_bench import registry, settings
from mic2e_bench.build import Build
from mic2e_bench.errors import BadInput, Unavailable
from mic2e_bench.toggle import Phase, Toggle
from mic2e_bench.trial import Trial

PR_SET_PDEATHSIG = 1


def main(trials: list[Trial], images: Path, pipe: Connection) -> None:
    """Measure trials that share a build.

    Sends ``("stage", text, share)`` on the way, and for each trial ``("done", id, parts)`` or ``("failed", id, status,
    reason)``.
    """
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    from mic2e_bench import measure

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
                parts["timing"]["load_s"] = load["load_s"]
                parts["memory"].update(load["memory"])
                pipe.send(("done", trial.id, parts))


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
    with probes.memory("cpu") as peaks, probes.clock("cpu") as elapsed:
        apply(build, trial, Phase.LOAD, Phase.LOAD)
        build.pipe = load.load(build, trial.model)
        apply(build, trial, Phase.MODIFY, Phase.MODIFY)
        weights = probes.weights_bytes(build.modules())
        apply(build, trial, Phase.PLACE, Phase.COMPILE)
        probes.synchroniser(build.device)()
    memory = {
        "weights_bytes": weights,
        "load_peak_rss_bytes": peaks.rss_bytes,
        "rss_before_load_bytes": peaks.rss_before_bytes,
    }
    return build, {"load_s": elapsed.seconds, "memory": memory}


def apply(build: Build, trial: Trial, first: Phase, last: Phase) -> None:
    """Apply the trial's toggles of these phases, in order."""
    for toggle, value in _toggles(trial):
        if first <= toggle.phase <= last:
            toggle.apply(build, value)


def receipts(build: Build, trial: Trial) -> dict[str, dict[str, Any]]:
    """What was asked and what the live object shows, for every toggle."""
    found = {}
    for toggle, asked in _toggles(trial):
        seen = toggle.observe(build, asked)
        applied = seen.value == asked if seen.applied is None else seen.applied
        found[toggle.name] = {"asked": asked, "seen": seen.value, "applied": applied, "how": seen.how}
        if not applied:
            found[toggle.name]["reason"] = seen.reason or f"asked {asked}, seen {seen.value}"
    return found


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


def classify(error: BaseException) -> str:
    """The status that an exception means."""
    if isinstance(error, Unavailable):
        return "unavailable"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "oom"
    return "oom" if "can't allocate memory" in str(error) else "error"  # PyTorch's CPU allocator: RuntimeError


def describe(error: BaseException) -> str:
    """An exception in one line, with the place in our or the library's code where it was raised."""
    text = " ".join(str(error).split())[:500]
    if isinstance(error, (Unavailable, BadInput)):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{place}"
