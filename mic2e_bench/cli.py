"""The command line: the parser of ``commands/``, and what an exception means to a person."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

from mic2e_bench import commands, terminal
from mic2e_bench.arguments import Parser
from mic2e_bench.catalog import registry
from mic2e_bench.commands import BAD_INPUT, INTERRUPTED, OK
from mic2e_bench.errors import BadInput, in_a_line
from mic2e_bench.version import VERSION


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code.

    0 done; 1 with ``--strict`` and a trial that is not ok, with ``--check`` and a stale table, or where a comparison
    found something worse; 2 bad input; 3 an inconclusive comparison, where that was asked for; 130 interrupted.
    """
    with terminal.shown():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        options = parser().parse_args(arguments)
        code = options.execute(options)
        sys.stdout.flush()
        return code
    except BadInput as error:
        return _refused(error)
    except KeyboardInterrupt:
        print("\nmic2e-bench: interrupted. The same command goes on where it stopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe (head, less) has seen enough
        _say_no_more()
        return OK
    except OSError as error:  # of the surroundings: a full disk, a folder that is gone, a name that is too long
        _say_no_more()
        return _refused(in_a_line(f"{error.filename or 'here'}: {error.strerror or error}."))
    except MemoryError:
        return _refused("there is not enough memory for this.")


def _refused(line: object) -> int:
    print(f"mic2e-bench: {line}", file=sys.stderr)
    return BAD_INPUT


def _say_no_more() -> None:
    """What is still in the buffer of the output goes nowhere: Python would try to write it again at its end."""
    with contextlib.suppress(OSError, ValueError):  # an output without a descriptor, as in a test
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser() -> argparse.ArgumentParser:
    """The command line, a subcommand for each file of ``commands/``."""
    top = Parser(prog="mic2e-bench", description="Benchmark and tune the MIC2E diffusion pipelines.")
    top.add_argument("--version", action="version", version=f"mic2e-bench {VERSION}")
    added = top.add_subparsers(required=True, metavar="COMMAND")
    for name, command in registry.modules(commands.__name__).items():
        made = added.add_parser(name, help=command.ABOUT, description=command.ABOUT)
        command.arguments(made)
        made.set_defaults(execute=command.execute)
    return top
