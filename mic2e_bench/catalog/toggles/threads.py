"""CPU threads inside one operator."""

from __future__ import annotations

import os
from typing import Any

from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle


def parse(value: Any, pipeline: Any) -> str | int:
    if value == "all" or (type(value) is int and 1 <= value <= 1024):
        return value
    raise ValueError("'all' or a whole number from 1 to 1024")


def apply(build: Build, value: str | int) -> None:
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)) if value == "all" else value)


def observe(build: Build, value: str | int) -> Seen:
    import torch

    threads = torch.get_num_threads()
    wanted = len(os.sched_getaffinity(0)) if value == "all" else value
    return Seen(threads, "torch.get_num_threads()", applied=threads == wanted)


def code(value: str | int, settings: Settings, pipeline: Pipeline) -> Code:
    if settings["device"] != "cpu":
        return Code()
    count, imports = (str(value), ()) if value != "all" else ("len(os.sched_getaffinity(0))", ("import os",))
    return Code(lines=f"torch.set_num_threads({count})", imports=("import torch", *imports))


THREADS = Toggle(
    name="threads",
    phase=Phase.PLACE,
    values="all | whole number from 1",
    default="all",
    parse=parse,
    apply=apply,
    observe=observe,
    cost="rounding",
    about="Threads that share one CPU operator; 'all' is every core this process may use.\n"
    "On busy cores fewer can be faster, since all wait for the slowest.",
    source="docs: torch, 'CPU threading'",
    code=code,
)
