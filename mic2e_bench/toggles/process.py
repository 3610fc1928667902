"""Whether a process serves many calls or one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mic2e_bench.build import Build
from mic2e_bench.pipeline import Pipeline
from mic2e_bench.toggle import Code, Phase, Seen, Toggle, one_of


def apply(build: Build, value: str) -> None:
    """Nothing to do to a pipeline: the worker makes the processes (``restarts.py``)."""


def observe(build: Build, value: str) -> Seen:
    """The ids of the processes that made the timed calls."""
    restarts = build.notes.get("restarts")
    if not restarts:
        return Seen("kept", "every call was made by the process that loaded the pipeline")
    calls, processes = len(restarts["pid"]), len(set(restarts["pid"]))
    how = f"{calls} timed calls by {processes} processes, each from its start and the loading to the image"
    if restarts.get("method") == "spawn":  # an old record has no method: it was forked
        how += "; spawned, so that each imports the libraries as well"
    return Seen("per_call" if calls == processes else "kept", how)


def code(value: str, settings: Mapping[str, Any], pipeline: Pipeline) -> Code:
    return Code(lines="" if value == "kept" else "# process per_call: run this file anew for every call")


PROCESS = Toggle(
    name="process",
    phase=Phase.LOAD,
    values="kept | per_call",
    default="kept",
    parse=one_of("kept", "per_call"),
    apply=apply,
    observe=observe,
    cost="none",
    about="per_call: a new process loads the pipeline for every call, as the service's worker_max_tasks_per_child=1\n"
    "does; it returns all memory, and each user waits for the load. The libraries are imported already.",
    source="the service's worker settings; docs: Celery, 'Max tasks per child'",
    tolerance=0.0,
    code=code,
)
