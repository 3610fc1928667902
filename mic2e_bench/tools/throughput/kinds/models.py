"""Several pipelines on one machine: all kept loaded, loaded on demand, or the least recently used one ended.

::

    pipeline: objectclear                       # the first of them, as in any other study
    models:
      others: {flux-schnell: {steps: 1}}        # further pipelines with their settings; weights and inputs as above
      keep: [all, 2, 1]                         # so many loaded at once; 1 loads whenever another one is wanted
      requests: 60                              # drawn, the same for all
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

from mic2e_bench import statistics, units
from mic2e_bench.catalog import registry
from mic2e_bench.errors import BadInput, unknown
from mic2e_bench.plan import params
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.trial import Trial
from mic2e_bench.report.tabular import columns
from mic2e_bench.tools.throughput import percentiles, read
from mic2e_bench.tools.throughput.kind import Job, Kind, Point
from mic2e_bench.tools.throughput.record import ThroughputRecord
from mic2e_bench.tools.throughput.serving import Server, without_warm_up
from mic2e_bench.units import whole

ALL = "all"
DEFAULTS = {"others": {}, "keep": [ALL, 1], "requests": 60}
HEADER = ("kept loaded", "hits", "hits p50 s", "p95 s", "loads p50 s", "p95 s", "requests/min", "peak MiB")


def points(asked: Mapping[str, Any], study: Study, where: str) -> list[Point]:
    """A point for each number of models that may be loaded."""
    read.keys(asked, DEFAULTS, where)
    given = {**DEFAULTS, **asked}
    others = given["others"]
    if not isinstance(others, Mapping) or not others:
        raise BadInput(f"{where}: others: write PIPELINE: {{setting: value}} for at least one more; given: {others!r}.")
    for name in others:
        if name not in registry.pipelines() or name == study.pipeline.name:
            raise unknown("other pipeline", name, set(registry.pipelines()) - {study.pipeline.name}, f"{where}: others")
    contents = {name: _trial(name, others[name] or {}, study, f"{where}: others").content for name in others}
    requests, found = whole(given["requests"], 2, 1_000_000, f"{where}: requests"), []
    for keep in read.several(given["keep"], f"{where}: keep"):
        if keep != ALL:
            whole(keep, 1, len(others), f"{where}: keep", f" or '{ALL}'")
        label = "all loaded" if keep == ALL else f"{keep} loaded"
        found.append(Point(label, {"keep": keep, "requests": requests, "others": contents}))
    return found


def _trial(name: str, settings: Any, study: Study, where: str) -> Trial:
    """Another pipeline as it is served: the settings that are given, all else as the study says it."""
    shared = {key: study.params[key] for key in ("model", "inputs", "protocol") if key in study.params}
    device = {"device": study.baseline.settings["device"]}
    if not isinstance(settings, Mapping):
        raise BadInput(f"{where}: {name}: write a mapping of settings; given: {settings!r}.")
    content = {"study": study.name, "pipeline": name, "baseline": {**device, **settings}, **shared}
    return params.resolve_study(content, f"{where}: {name}").baseline


@dataclass
class _Loaded:
    """The pipelines that are loaded, the one that waits longest for its next request first."""

    trials: Mapping[str, Trial]
    most: int
    job: Job
    servers: dict[str, Server] = field(default_factory=dict)
    reserved: dict[str, int | None] = field(default_factory=dict)  # by a GPU's allocator after the last call

    def get(self, name: str) -> tuple[Server, bool]:
        """The process of a pipeline, and whether it was there already."""
        if was_there := name in self.servers:
            self.servers[name] = self.servers.pop(name)
            return self.servers[name], was_there
        while len(self.servers) >= self.most:
            self.servers.pop(next(iter(self.servers))).close()
        self.servers[name] = Server(self.trials[name], self.job.log.with_suffix(f".{name}.log"))
        self.servers[name].ready()
        return self.servers[name], was_there

    def call(self, name: str, seed: int) -> bool:
        """Answer a request; returns whether its pipeline was there already."""
        server, was_there = self.get(name)
        self.reserved[name] = server.call(seed).get("reserved_bytes")
        return was_there

    def held_bytes(self) -> int:
        """What their processes hold: on a GPU of its memory, else of the machine's, a shared page in parts."""
        reserved = [self.reserved.get(name) for name in self.servers]
        if None not in reserved:
            return sum(reserved)
        return sum(psutil.Process(server.process.pid).memory_full_info().pss for server in self.servers.values())

    def end(self) -> None:
        for server in self.servers.values():
            server.kill()


def measure(point: Point, job: Job) -> dict[str, Any]:
    """Request after request; each one's latency has the ending of another model and its own loading in it."""
    asked = point.asked
    first = {job.trial.pipeline: without_warm_up(job.trial)}
    others = {name: Trial.of(job.study.name, name, content) for name, content in asked["others"].items()}
    trials = {**first, **{name: without_warm_up(trial) for name, trial in others.items()}}
    loaded = _Loaded(trials, len(trials) if asked["keep"] == ALL else asked["keep"], job)
    wanted = random.Random(0).choices(sorted(trials), k=asked["requests"])
    run: dict[str, list[Any]] = {"pipeline": wanted, "latency_s": [], "was_loaded": [], "held_bytes": []}
    try:
        if asked["keep"] == ALL:
            job.tell("all load", 0.0)
            for name in trials:
                loaded.call(name, 0)
        for number, name in enumerate(wanted):
            job.tell(f"{asked['requests']} requests", number / asked["requests"])
            start = time.perf_counter()
            was_there = loaded.call(name, number)
            run["latency_s"].append(time.perf_counter() - start)
            run["was_loaded"].append(was_there)
            run["held_bytes"].append(loaded.held_bytes())
    finally:
        loaded.end()
    return {"runs": [run]}


def text(records: Sequence[ThroughputRecord]) -> str:
    """A line for each number of models that were kept, and what keeping them saves and costs."""
    done = [one for one in records if one.runs]
    return "\n".join([columns(map(_row, done), HEADER), *_answer(done)]) if done else ""


def _row(one: ThroughputRecord) -> list[str]:
    run = one.runs[0]
    shown = []
    for was_loaded in (True, False):
        worst = percentiles.of_run(_samples(run, was_loaded), percentiles.SHARES["p95"])
        shown += [_middle(run, was_loaded).text(), units.digits(worst)]
    per_minute = units.digits(60 * len(run["latency_s"]) / sum(run["latency_s"]))
    share = f"{sum(run['was_loaded']) / len(run['was_loaded']):.0%}"
    return [one.label, share, *shown, per_minute, units.digits(max(run["held_bytes"]) / units.MIB)]


def _middle(run: Mapping[str, Any], was_loaded: bool) -> percentiles.Figure:
    """The median latency of the requests that found their model loaded, or not; with an interval from six on."""
    samples = _samples(run, was_loaded)
    return percentiles.Figure(*statistics.median(samples)) if samples else percentiles.Figure(None, None)


def _samples(run: Mapping[str, Any], was_loaded: bool) -> list[float]:
    return [s for s, hit in zip(run["latency_s"], run["was_loaded"], strict=True) if hit == was_loaded]


def _answer(records: Sequence[ThroughputRecord]) -> list[str]:
    """What a request waits whose model is not there, and what it takes to have all there."""
    by_kept = {one.asked["keep"]: one.runs[0] for one in records}
    lines = []
    for keep, run in by_kept.items():
        hit, load = (_middle(run, was_loaded) for was_loaded in (True, False))
        if hit.interval and load.interval:
            apart = "longer" if hit.interval[1] < load.interval[0] else "within the noise"
            lines.append(
                f"{keep} loaded: a request that loads waits {load.text()} s, another one {hit.text()} s: {apart}"
            )
    if ALL in by_kept and len(by_kept) > 1:
        fewest = min(keep for keep in by_kept if keep != ALL)
        more = (max(by_kept[ALL]["held_bytes"]) - max(by_kept[fewest]["held_bytes"])) / units.MIB
        lines.append(f"to keep all takes {units.digits(more)} MiB more at the peak than to keep {fewest}")
    return lines


MODELS = Kind(
    name="models",
    about="several pipelines on one machine: all kept loaded, loaded on demand, or the least recently used one ended",
    points=points,
    measure=measure,
    text=text,
)
