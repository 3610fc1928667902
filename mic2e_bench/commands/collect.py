"""``mic2e-bench collect``."""

from __future__ import annotations

import argparse

from mic2e_bench import arguments as given
from mic2e_bench import commands, paths

ABOUT = "join records that another machine packed (run --pack-results), verified, under results/evidence/"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=given.path, metavar="DIR", help="the folder with the parts")
    parser.add_argument("--into", type=given.path, metavar="DIR", help="where they go (default: results/evidence/)")
    parser.add_argument("--replace", action="store_true", help="take the new record where another one is there")


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench.tools.collect import join, machines

    into = options.into or paths.results() / "evidence"
    joined = join.join(options.folder, into, options.replace)
    records = [one for study in joined for one in study.records]
    print("\n".join(machines.lines(records, paths.root() / "requirements.lock")))
    print("\n".join(study.line() for study in joined))
    return commands.OK
