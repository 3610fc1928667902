"""``mic2e-bench run``."""

from __future__ import annotations

import argparse
from pathlib import Path

from mic2e_bench import commands

ABOUT = "measure what is not measured yet"


def arguments(parser: argparse.ArgumentParser) -> None:
    commands.add_studies(parser)
    parser.add_argument("--rerun", action="store_true", help="measure again what is measured already")
    parser.add_argument(
        "--force", action="store_true", help="measure trials with a known conflict and skipped ones as well"
    )
    parser.add_argument("--lpips-weights", type=Path, metavar="FILE", help="ImageNet weights of torchvision for LPIPS")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a trial is not ok")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    parser.add_argument("--mixed", action="store_true", help="allow records of different environments in one table")


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench import api, show

    studies, results = commands.studies(options), commands.results(options)
    if options.dry_run:
        print(show.plan(studies, results))
        return commands.OK
    summary = api.run(
        *studies,
        results=results,
        rerun=options.rerun,
        force=options.force,
        lpips_weights=options.lpips_weights,
    )
    print(show.results(studies, results, options.mixed))
    print(show.summary(summary))
    return commands.NOT_OK if options.strict and summary.failed else commands.OK
