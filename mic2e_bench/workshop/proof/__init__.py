"""Benchmarks of the workbench itself: a module each, whose ``main()`` prints a Markdown section and returns 0 or 1."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from mic2e_bench import api
from mic2e_bench.arguments import count
from mic2e_bench.catalog.pipeline import Build, Item
from mic2e_bench.machine import environment
from mic2e_bench.plan import inputs
from mic2e_bench.run import assemble
from mic2e_bench.workshop.command import one_line, parser

ONE_INPUT = {"source": "bundled", "limit": 1}


def start(main: Callable[..., int], about: str, **counts: int) -> NoReturn:
    """Run a benchmark from the command line, which may give other ``counts`` than these, in order; then exit."""
    read = parser(about)
    for name, default in counts.items():
        read.add_argument(name, type=count, nargs="?", default=default, help=f"default: {default}")
    sys.exit(one_line(main)(**vars(read.parse_args())))


def section(title: str, about: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A section of BENCHMARKS.md: a heading, a paragraph that says what was done, and a table."""
    lines = [f"| {' | '.join(map(str, cells))} |" for cells in (header, ["---"] * len(header), *rows)]
    return f"### {title}\n\n{about}\n\n" + "\n".join(lines)


def place() -> str:
    """Where and when this is measured: device, load, torch, day."""
    here = environment.here("cpu")
    torch = here["packages"]["torch"]
    return f"{here['device']}, load {here['load_1min']:.1f}, torch {torch}, {environment.now()[:10]}"


def live(study: Mapping[str, Any]) -> tuple[Build, Item]:
    """A study's baseline as a worker has it when calls begin, with one bundled input."""
    baseline = api.study({**study, "inputs": ONE_INPUT}).baseline
    build, _ = assemble.make_build(baseline)
    assemble.next_trial(build, baseline)
    return build, inputs.read(baseline.inputs)[0]


def in_turns(rounds: int, *calls: Callable[[], float]) -> list[list[float]]:
    """What each call returned, the order turned every round, so that whatever the machine does meets all of them."""
    found = [(call, []) for call in calls]
    for index in range(rounds):
        for call, samples in found if index % 2 else reversed(found):
            samples.append(call())
    return [samples for _, samples in found]
