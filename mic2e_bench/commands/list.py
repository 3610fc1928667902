"""``mic2e-bench list``."""

from __future__ import annotations

import argparse

from mic2e_bench import commands

ABOUT = "list pipelines, toggles, metrics or presets"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("pipelines", "toggles", "metrics", "presets"))
    commands.add_results(parser)


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench import show

    print(show.toggles(commands.results(options)) if options.what == "toggles" else getattr(show, options.what)())
    return commands.OK
