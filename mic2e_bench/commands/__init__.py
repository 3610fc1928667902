"""The commands, one a file named after its command: ``ABOUT``, ``arguments(parser)``, ``execute(options)``.

``ABOUT`` is the line of the help, ``arguments`` adds to an ``argparse.ArgumentParser``, ``execute`` returns the exit
code. They read arguments, call, print and choose the exit code; nothing else. Below is what several of them share.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from mic2e_bench import arguments, paths

if TYPE_CHECKING:
    from mic2e_bench.plan.params import Study

OK, NOT_OK, BAD_INPUT, INCONCLUSIVE, INTERRUPTED = 0, 1, 2, 3, 130


def add_results(parser: argparse.ArgumentParser) -> None:
    """``--results DIR``."""
    parser.add_argument(
        "--results", type=arguments.path, default=None, metavar="DIR", help="results folder (default: results/)"
    )


def add_studies(parser: argparse.ArgumentParser) -> None:
    """Params files, ``--set`` and ``--results``."""
    parser.add_argument("params", nargs="+", metavar="PARAMS", help="params files (YAML)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a key, e.g. protocol.repeats=3"
    )
    add_results(parser)


def each_study(options: argparse.Namespace) -> Iterator[Study]:
    """The studies that the arguments of ``add_studies`` name, one after the other. Raises ``BadInput``."""
    from mic2e_bench.plan import params

    for path in options.params:
        yield from params.read_all(path, tuple(options.set))


def studies(options: argparse.Namespace) -> list[Study]:
    """All of them. Raises ``BadInput``."""
    return [*each_study(options)]  # a command is named list


def results(options: argparse.Namespace) -> Path:
    """The results folder that was asked for, or the workbench's."""
    return paths.results_of(options.results)


def results_there(options: argparse.Namespace) -> Path:
    """The same, where it is read alone. Raises ``BadInput`` where there is no such folder."""
    return paths.there(results(options))


def call(command: ModuleType, words: Sequence[str]) -> int:
    """Execute another command with these words of its own command line; returns its exit code."""
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    return command.execute(parser.parse_args(words))
