"""``mic2e-bench mincard``."""

from __future__ import annotations

import argparse

from mic2e_bench import commands

ABOUT = "the smallest card that trials run on, found on this one by bisection"


def arguments(parser: argparse.ArgumentParser) -> None:
    commands.add_studies(parser)
    parser.add_argument("--label", action="append", default=[], metavar="LABEL", help="only this trial (several times)")


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench.tools import mincard, pin

    for study in commands.studies(options):
        for found in mincard.of_study(pin.pinned(study), commands.results(options), tuple(options.label)):
            print(found.text)
    return commands.OK
