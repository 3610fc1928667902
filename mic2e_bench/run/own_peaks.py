"""Peaks of main memory, each in a process of its own: what was measured before a trial does not count as its need.

The process that has loaded a build and called nothing is kept; every trial's calls for memory are made in a fork of
that. How far such a peak repeats, two more processes say, which load the baseline's build again.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterable
from typing import Any

from mic2e_bench.catalog.kernels import can_count
from mic2e_bench.catalog.pipeline import Build, Item
from mic2e_bench.catalog.watch import watch
from mic2e_bench.machine import probes, snapshot
from mic2e_bench.plan import inputs
from mic2e_bench.plan.trial import Trial
from mic2e_bench.run import assemble, failures, measure

REPEATS = 2  # processes beside the first, for the baseline; none where its time is not repeated either
LONGEST_LOAD_S = 60.0  # of a build that is loaded again for them; of a slower one, and a compiled one, the calls alone


class OwnPeaks:
    """``of(trial, ...)`` is a part of a record's ``memory`` for a trial on the CPU; on a GPU it is empty."""

    def __init__(self, trials: Iterable[Trial], wanted: bool = True) -> None:
        """Before anything is loaded. A process that only times wants none, and keeps nothing."""
        self.trials = {trial.id: trial for trial in trials}
        on_cpu = next(iter(self.trials.values())).settings["device"] == "cpu"
        self.on_cpu = wanted and on_cpu and sys.platform == "linux"
        self.kept: list[snapshot.Snapshot] = []
        self.why = ""  # there is none of a state
        self.keep(None)

    def keep(self, build: Build | None) -> None:
        """This process as it is: with the build, of which nothing was called yet, where there is one.

        What cannot be forked after its loading (ONNX Runtime has threads) is loaded again for each trial, and the
        record says why (``loaded_again``).
        """
        if self.on_cpu:
            if build:
                probes.start_afresh(build.device)  # once: in a fork it would copy every page with an object
            try:
                self.kept.append(snapshot.Snapshot(lambda *args: self._told(build, *args)))
            except snapshot.Unforkable as error:
                self.why = str(error)

    def _told(self, build: Build | None, id: str, most: int | None) -> dict[str, Any]:
        """The work in a fork; what stops it comes back as the status and the reason of a failure."""
        try:
            if build:
                return peaks(build, self.trials[id], most)
            build, _ = assemble.make_build(self.trials[id])
            probes.start_afresh(build.device)
            # a fork of it lacks what only its loading touched; closed, or its time would be taken for that of others
            work = functools.partial(self._told, build, id, most)
            with contextlib.suppress(snapshot.Unforkable), contextlib.closing(snapshot.Snapshot(work)) as again:
                return again()
            return peaks(build, self.trials[id], most)
        except Exception as error:
            return {"failed": (failures.classify(error), failures.describe(error))}

    def of(self, trial: Trial, build: Build, load_s: float) -> dict[str, Any]:
        """Raises ``failures.Told`` for what stopped a call."""
        if not self.kept:
            return {"shared_process": self.why} if self.on_cpu else {}
        found = self._asked(self.kept[-1], trial, None)
        first = found.pop("first_peak_rss_bytes")
        found |= {"loaded_again": self.why} if self.why else {}
        if trial.label == "baseline" and first and trial.protocol["repeats"] != 1:
            again = load_s <= LONGEST_LOAD_S and can_count(build.denoiser)
            repeats = [self._asked(self.kept[0 if again else -1], trial, 1) for _ in range(REPEATS)]
            found["repeats_peak_rss_bytes"] = [first, *(each["first_peak_rss_bytes"] for each in repeats)]
        return found

    def _asked(self, kept: snapshot.Snapshot, trial: Trial, most: int | None) -> dict[str, Any]:
        found = kept(trial.id, most)
        if "failed" in found:
            raise failures.Told(*found["failed"])
        return found

    def close(self) -> None:
        for kept in self.kept:
            kept.close()


def peaks(build: Build, trial: Trial, most: int | None = None) -> dict[str, Any]:
    """A call for each input, in a process that is for this alone: the part of ``memory`` that they give.

    ``most`` inputs. What compiles has done so before. ``loaded_rss_bytes`` has the pages of files as they are
    afterwards: weights and libraries that the calls only touched are no need of theirs.
    """
    snapshot.hold_allocator()
    assemble.next_trial(build, trial)
    items, seed = inputs.read(trial.inputs)[:most], trial.protocol["seeds"][0]
    held, files = (probes.status_bytes(name) or 0 for name in ("VmRSS", "RssFile"))
    if not can_count(build.denoiser):
        measure.warm_up(build, items[0], {**trial.protocol, "warmup": 1}, lambda stage: None, [])
    calls = [_call(build, item, seed) for item in items]
    loaded = held + (probes.status_bytes("RssFile") or 0) - files
    found = {"peak_rss_bytes": max((each.rss_bytes for each in calls if each.rss_bytes), default=None)}
    found |= {"first_peak_rss_bytes": calls[0].rss_bytes, "rss_before_call_bytes": calls[0].rss_before_bytes}
    return {**found, "loaded_rss_bytes": loaded or None, "phases": calls[0].phases}


def _call(build: Build, item: Item, seed: int) -> probes.Peaks:
    with build.around(), probes.memory(build.device, phase="encode") as found, contextlib.ExitStack() as stack:
        stack.enter_context(watch(build.witness, build.modules(), build.pipeline.denoiser, lambda: None, found.phase))
        build.pipeline.call(build, item, seed)
    return found
