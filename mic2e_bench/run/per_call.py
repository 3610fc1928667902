"""The time pass of ``process: per_call``: every call in a process of its own, as in a service that restarts its worker.

Each process is forked from one that has imported the libraries and loaded nothing, loads the pipeline, makes one call
and ends. Forking is safe only there: the parent has started no thread and touched no device. Where it has (see
``fork_safety``), each process is spawned, and the import of the libraries is part of its time.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from mic2e_bench.catalog.toggle import Seen
from mic2e_bench.errors import Unavailable
from mic2e_bench.machine import fork_safety, tied
from mic2e_bench.plan import inputs
from mic2e_bench.plan.protocol import most_calls
from mic2e_bench.plan.trial import Trial
from mic2e_bench.run import assemble, failures, forkserver, sampling

RAISED_AS = {"unavailable": Unavailable, "oom": MemoryError}


def time_pass(trial: Trial, tell: Callable[[str, float], None]) -> dict[str, Any]:
    """Samples like ``measure.time_pass``'s; each is the time from the fork to the finished image.

    ``restarts`` has the parts: loading, the call, the end of the process, and the process ids.
    """
    protocol, cycles = trial.protocol, []
    most = most_calls(protocol)
    samples: dict[str, Any] = {"warmup_s": [], "latency_s": [], "ended_by": {}, "faults": []}
    for kind, rule, ended in (("warmup_s", "warmup", sampling.warm), ("latency_s", "repeats", sampling.enough)):
        while not (end := ended(protocol[rule], samples[kind])):
            tell(f"process {len(cycles) + 1}/{most}", len(cycles) / (most + 1))
            cycles.append(_cycle(trial))
            samples[kind].append(cycles[-1]["answer_s"])
            samples["faults"] += cycles[-1]["faults"]
        samples["ended_by"][rule] = end
    parts = {name: [c[name] for c in cycles] for name in ("load_s", "call_s", "exit_s", "pid")}
    return {**samples, "restarts": {**parts, "method": _method()}}


def receipt(asked: str, parts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A receipt like those of toggles, by the ids of the processes that made the timed calls.

    ``parts``: the ``restarts`` of ``time_pass``; without it, the process that loaded the pipeline made them all.
    """
    seen, how = "kept", "every call was made by the process that loaded the pipeline"
    if parts:
        calls, processes = len(parts["pid"]), len(set(parts["pid"]))
        seen = "per_call" if calls == processes else "kept"
        how = f"{calls} timed calls by {processes} processes, each from its start and the loading to the image"
        if parts["method"] == "spawn":
            how += "; spawned, so that each imports the libraries as well"
    return assemble.said(asked, Seen(seen, how))


def _cycle(trial: Trial) -> dict[str, Any]:
    """One process from its start to its end. Raises what stopped it, as the error of its status."""
    receiving, sending = multiprocessing.Pipe(duplex=False)
    start = time.perf_counter()
    process = multiprocessing.get_context(_method()).Process(target=_one_call, args=(trial, sending))
    process.start()
    sending.close()
    answer = forkserver.receive(receiving)
    answered = time.perf_counter()
    process.join()
    receiving.close()
    if answer is None:
        raise RuntimeError(f"the process of one call ended by itself, exit code {process.exitcode}")
    if "reason" in answer:
        raise RAISED_AS.get(answer["status"], RuntimeError)(answer["reason"])
    return {**answer, "answer_s": answered - start, "exit_s": time.perf_counter() - answered, "pid": process.pid}


def _method() -> str:
    return "fork" if fork_safety.may_fork() else "spawn"


def _one_call(trial: Trial, pipe: Connection) -> None:
    """The child: load, one call, say how long both took, end. Never returns."""
    from mic2e_bench.run import measure  # with torch, which is spawned processes' own to import

    tied.tie(os.getppid())
    try:
        item = inputs.read(trial.inputs)[0]
        build, loaded = assemble.make_build(trial)
        assemble.next_trial(build, trial)
        call = measure.timed_call(build, item, trial.protocol["seeds"][0])
        pipe.send({"load_s": loaded["timing"]["load_s"], "call_s": call["latency_s"], "faults": build.faults})
    except Exception as error:
        pipe.send({"status": failures.classify(error), "reason": failures.describe(error)})
    finally:
        os._exit(0)  # no exit handlers: they belong to the parent
