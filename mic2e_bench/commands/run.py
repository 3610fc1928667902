"""``mic2e-bench run``."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mic2e_bench import arguments as given
from mic2e_bench import commands
from mic2e_bench.commands import plan
from mic2e_bench.errors import BadInput

if TYPE_CHECKING:
    from mic2e_bench.plan.params import Study
    from mic2e_bench.run.outcomes import Summary
    from mic2e_bench.tools.budget.budget import Budget
    from mic2e_bench.tools.distribute.ray import Executor

LAST_WORDS_S = 0.5  # of a budget: for the closing lines
ABOUT = "measure what is not measured yet"


def arguments(parser: argparse.ArgumentParser) -> None:
    commands.add_studies(parser)
    parser.add_argument("--rerun", action="store_true", help="measure again what is measured already")
    parser.add_argument(
        "--rerun-disturbed", action="store_true", help="measure again what other work disturbed (with its rounds)"
    )
    parser.add_argument(
        "--force", action="store_true", help="measure trials with a known conflict and skipped ones as well"
    )
    parser.add_argument(
        "--lpips-weights", type=given.path, metavar="FILE", help="ImageNet weights of torchvision for LPIPS"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a trial is not ok")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    parser.add_argument(
        "--budget", metavar="TIME", help="end within this time (90s, 10m, 1h); the same command goes on with the rest"
    )
    parser.add_argument(
        "--pack-results",
        type=given.path,
        metavar="DIR",
        help="write the records there as well, packed, after every study",
    )
    parser.add_argument("--part", default="15MiB", metavar="SIZE", help="the most of a packed file (default: 15MiB)")
    parser.add_argument("--executor", choices=("local", "ray"), default="local", help="ray: builds on several workers")
    parser.add_argument("--workers", default="1", metavar="N", help="of --executor ray (default: 1)")
    parser.add_argument("--address", default="", metavar="HOST:PORT", help="of a Ray cluster (default: one here)")
    parser.add_argument("--mixed", action="store_true", help="allow records of different environments in one table")


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench import api
    from mic2e_bench.tools import pin
    from mic2e_bench.tools.budget import budget
    from mic2e_bench.tools.verify import before

    limit = budget.of_process(options.budget) if options.budget is not None else None
    if options.dry_run:
        plan.show(options)
        return commands.OK
    studies, results = commands.studies(options), commands.results(options)
    if limit:
        prepare()
    studies = [pin.pinned(study) for study in studies]
    if older := before.text(sum(before.count(study, results) for study in studies)):
        print(older)
    summary = api.run(
        *studies,
        results=results,
        rerun=options.rerun or ("disturbed" if options.rerun_disturbed else False),
        force=options.force,
        lpips_weights=options.lpips_weights,
        budget=limit,
        pack_results=options.pack_results,
        part=options.part,
        executor=spread(options),
    )
    print(figures(studies, results, options.mixed, limit))
    print(text(summary))
    return commands.NOT_OK if options.strict and summary.failed else commands.OK


def spread(options: argparse.Namespace) -> Executor | None:
    """Where the trials are measured; ``None``: here. Raises ``BadInput``."""
    from mic2e_bench import units
    from mic2e_bench.tools.distribute.ray import Executor

    workers = units.count(options.workers, "--workers")
    if options.executor == "ray":
        return Executor(workers, options.address)
    if options.address or workers > 1:
        raise BadInput("--workers and --address are of --executor ray: give that as well.")
    return None


def prepare() -> None:
    """Import what ``figures`` needs: some seconds, which a budget shall not find at its end."""
    from mic2e_bench.report import feasibility, findings, tables  # noqa: F401


def figures(studies: Sequence[Study], folder: Path, mixed: bool, budget: Budget | None = None) -> str:
    """The main figures of every trial of the studies; where a budget ends before they are there, that they are not."""
    from mic2e_bench.errors import UsedUp

    if budget:
        try:
            with budget.alarm(budget.start + budget.seconds - LAST_WORDS_S):
                return figures(studies, folder, mixed)
        except UsedUp:
            return "no time is left for the tables: mic2e-bench report writes them"
    from mic2e_bench.report import feasibility, findings, tables

    parts = []
    for study in studies:
        parts += [tables.text(study, folder, mixed), feasibility.text(findings.read(study, folder, mixed))]
    return "\n\n".join(part for part in parts if part)


def text(done: Summary) -> str:
    """What the run did, what failed, and how its wall time compares with the pipeline calls' own."""
    if not done.records and done.left:
        return done.left
    counts = Counter(found.status for found in done.records.values())
    lines = [f"{len(done.records)} trials: " + ", ".join(f"{count} {status}" for status, count in counts.most_common())]
    lines += [f"  {r.status}: {r.study} {r.label}: {r.reason}" for r in done.failed.values()]
    if done.measured:
        own = done.calls_s + done.import_s
        lines.append(
            f"{done.measured} measured now in {done.wall_s:.1f} s of wall time: {done.wall_s / own:.2f} times the "
            f"{done.calls_s:.1f} s of pipeline calls + {done.import_s:.1f} s of one import of the libraries"
        )
    return "\n".join([*lines, *([done.left] if done.left else [])])
