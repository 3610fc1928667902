"""``mic2e-bench pack``."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from mic2e_bench import arguments as given
from mic2e_bench import commands

ABOUT = "one folder with everything that a machine without network lacks"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--to", type=given.path, required=True, metavar="DIR", help="the folder; an earlier pack is replaced"
    )
    parser.add_argument("--limit", metavar="SIZE", help="the most that it may take, e.g. 60MiB")
    parser.add_argument("--python", default="3.12", metavar="X.Y", help="of that machine (default: 3.12)")
    parser.add_argument("--torch", metavar="X.Y", help="of that machine (default: of --has, else 2.11)")
    parser.add_argument(
        "--has", type=given.path, metavar="FILE", help="what that machine has, as `pip freeze` says there"
    )
    parser.add_argument(
        "--without", action="append", default=[], metavar="NAME", help="leave out a package, a bundled model, or tests"
    )


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench import units
    from mic2e_bench.tools.pack import pack, target

    limit = units.size(options.limit, "--limit") if options.limit is not None else None
    machine = target.read(options.python, options.torch, options.has)
    tell = partial(print, file=sys.stderr) if sys.stderr.isatty() else None
    packed = pack.write(options.to, machine, limit, options.without, tell)
    print(packed.text())
    return commands.OK
