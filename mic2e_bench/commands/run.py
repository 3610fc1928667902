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
    parser.add_argument(
        "--budget", metavar="TIME", help="end within this time (90s, 10m, 1h); the same command goes on with the rest"
    )
    parser.add_argument(
        "--pack-results", type=Path, metavar="DIR", help="write the records there as well, packed, after every study"
    )
    parser.add_argument("--part", default="15MiB", metavar="SIZE", help="the most of a packed file (default: 15MiB)")
    parser.add_argument("--mixed", action="store_true", help="allow records of different environments in one table")


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench import api, budget, show

    limit = budget.of_process(options.budget) if options.budget else None
    studies, results = commands.studies(options), commands.results(options)
    if options.dry_run:
        print(show.plan(studies, results))
        return commands.OK
    if limit:
        show.prepare()
    summary = api.run(
        *studies,
        results=results,
        rerun=options.rerun,
        force=options.force,
        lpips_weights=options.lpips_weights,
        budget=limit,
        pack_results=options.pack_results,
        part=options.part,
    )
    print(show.results(studies, results, options.mixed, limit))
    print(show.summary(summary))
    return commands.NOT_OK if options.strict and summary.failed else commands.OK
