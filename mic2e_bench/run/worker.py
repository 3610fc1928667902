"""The child: load → apply → observe → warm up → measure. One build a process, many calls of it.

Runs in a process forked from a server that has imported the libraries; tells the parent what it does through a pipe.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.plan import inputs
from mic2e_bench.plan.trial import Trial
from mic2e_bench.run import assemble, per_call
from mic2e_bench.run.failures import classify, describe


def work(trials: list[Trial], images: Path | None, pipe: Connection) -> None:
    """``main`` in a child of the server."""
    from mic2e_bench.run import preload  # noqa: F401 (forked, it is there; spawned, it is imported as the server does)

    main(trials, images, pipe)


def main(trials: list[Trial], images: Path | None, pipe: Connection) -> None:
    """Measure trials that share a build; without a folder for ``images`` only time them.

    Sends ``("stage", text, share)`` on the way, and for each trial ``("done", id, parts)`` or ``("failed", id, status,
    reason)``. With ``protocol.interleave`` the parts have no timed calls yet: it then serves them, see ``serve``.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    from mic2e_bench.catalog import call_cost  # with torch, as those two
    from mic2e_bench.machine import probes
    from mic2e_bench.run import measure, own_peaks

    def tell(text: str, share: float) -> None:
        pipe.send(("stage", text, share))

    with contextlib.suppress(BrokenPipeError):
        timed = {}
        # before this process loads anything: what restarts forks must find no threads and no device in use
        for trial in trials:
            with _failures(pipe, [trial.id]):
                timed[trial.id] = per_call.time_pass(trial, tell) if trial.restarts else {}
        trials = [trial for trial in trials if trial.id in timed]
        if not trials:
            return
        with _failures(pipe, list(timed)) as failed:
            tell("load", 0.0)
            own = own_peaks.OwnPeaks(trials, wanted=images is not None)
            build, load = assemble.make_build(trials[0])
            load["memory"] |= probes.loaded_vram(build.device)
            own.keep(build)
        if failed:
            return
        for trial in trials:
            with _failures(pipe, [trial.id]):
                assemble.next_trial(build, trial)
                if images is None:
                    pipe.send(("done", trial.id, measure.times(build, trial, tell)))
                    continue
                parts = measure.measure(build, trial, images, tell, timed[trial.id])
                parts["receipts"] = assemble.receipts(build, trial)
                made_by = timed[trial.id].get("restarts")
                parts["receipts"]["process"] = per_call.receipt(trial.protocol["process"], made_by)
                parts["timing"].update(load["timing"])
                tell("memory", 1.0)
                parts["memory"] |= own.of(trial, build, load["timing"]["load_s"])
                phases = {**load["memory"]["phases"], **parts["memory"].get("phases", {})}
                parts["memory"] |= {**load["memory"], "phases": phases}
                if trial.protocol.get("cost"):
                    item, seed = inputs.read(trial.inputs)[0], trial.protocol["seeds"][0]
                    parts["cost"] = call_cost.of_call(build, item, seed)
                pipe.send(("done", trial.id, parts))
        own.close()
        if trials[0].is_in_rounds:
            serve(build, trials, pipe)


def serve(build: Build, trials: list[Trial], pipe: Connection) -> None:
    """Make one timed call of the trial that the parent names, and sleep until the next name, until it hangs up.

    Sends ``("done", id, call)`` (see ``measure.timed_call``) or ``("failed", id, status, reason)``.
    """
    from mic2e_bench.run import measure  # with torch

    known, item, ready = {trial.id: trial for trial in trials}, inputs.read(trials[0].inputs)[0], None
    with contextlib.suppress(EOFError):
        while True:
            trial = known[pipe.recv()]
            with _failures(pipe, [trial.id]):
                if trial is not ready:
                    assemble.next_trial(build, trial)
                ready = trial
                call = measure.timed_call(build, item, trial.protocol["seeds"][0])
                pipe.send(("done", trial.id, {**call, "faults": build.faults}))


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
