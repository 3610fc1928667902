"""``mic2e-bench plan``."""

from __future__ import annotations

import argparse

from mic2e_bench import commands

ABOUT = "show the trials of a study, what this machine lacks for them and what is already measured"
arguments = commands.add_studies


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench import show

    print(show.plan(commands.studies(options), commands.results(options)))
    return commands.OK
