"""``mic2e-bench tables``."""

from __future__ import annotations

import argparse

from mic2e_bench import commands

ABOUT = "the guides' tables with what stored records measured beside each claim"


def arguments(parser: argparse.ArgumentParser) -> None:
    commands.add_results(parser)
    parser.add_argument("--check", action="store_true", help="exit with 1 where the published tables are stale")
    parser.add_argument("--mixed", action="store_true", help="allow figures of different environments")


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench.tools.claims import publish

    results = commands.results_there(options)
    if options.check:
        problems = publish.check(results, options.mixed)
        print("\n".join(problems) or "the published tables are what the stored records give")
        return commands.NOT_OK if problems else commands.OK
    for path in publish.write(results, options.mixed):
        print(f"tables: {path}")
    return commands.OK
