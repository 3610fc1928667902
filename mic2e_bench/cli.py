"""The command line: the parser of ``commands/``, and what an exception means to a person."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mic2e_bench import commands, terminal
from mic2e_bench.catalog import registry
from mic2e_bench.commands import BAD_INPUT, INTERRUPTED, OK
from mic2e_bench.errors import BadInput
from mic2e_bench.version import VERSION


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code.

    0 done; 1 with ``--strict`` and a trial that is not ok, with ``--check`` and a stale table, or where a comparison
    found something worse; 2 bad input; 3 an inconclusive comparison, where that was asked for; 130 interrupted.
    """
    with terminal.shown():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    options = parser().parse_args(arguments)
    try:
        return options.execute(options)
    except BadInput as error:
        print(f"mic2e-bench: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("\nmic2e-bench: interrupted. The same command goes on where it stopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe (head, less) has seen enough
        sys.stderr.close()
        return OK


def parser() -> argparse.ArgumentParser:
    """The command line, a subcommand for each file of ``commands/``."""
    top = argparse.ArgumentParser(prog="mic2e-bench", description="Benchmark and tune the MIC2E diffusion pipelines.")
    top.add_argument("--version", action="version", version=f"mic2e-bench {VERSION}")
    added = top.add_subparsers(required=True, metavar="COMMAND")
    for name, command in registry.modules(commands.__name__).items():
        made = added.add_parser(name, help=command.ABOUT, description=command.ABOUT)
        command.arguments(made)
        made.set_defaults(execute=command.execute)
    return top
