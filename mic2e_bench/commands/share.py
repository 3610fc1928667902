"""``mic2e-bench share``."""

from __future__ import annotations

import argparse
import sys

from mic2e_bench import arguments as given
from mic2e_bench import commands

ABOUT = "write records for other programs: a Parquet file, or runs of MLflow"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "studies", nargs="*", metavar="STUDY", help="studies under the results folder, as evidence/NAME too (all)"
    )
    commands.add_results(parser)
    parser.add_argument("--parquet", type=given.path, metavar="FILE", help="one row a trial, with raw samples")
    parser.add_argument("--mlflow", metavar="URI", help="sqlite:///FILE, or a server: a run a record, none twice")


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench.errors import BadInput
    from mic2e_bench.tools.share import parquet, store, stored, tracked

    if not (options.parquet or options.mlflow):
        raise BadInput("share: say where to: --parquet FILE, --mlflow sqlite:///FILE, or both.")
    if options.mlflow:
        store.check(options.mlflow)
    found = stored.read(commands.results_there(options), options.studies)
    for line in found.left_out:
        print(f"left out: {line}", file=sys.stderr)
    if options.parquet:
        print(f"share: {parquet.write(found, options.parquet)} records in {options.parquet}")
    if options.mlflow:
        logged, known = tracked.write(found, options.mlflow)
        print(f"share: {logged} records logged, {known} were there: {store.check(options.mlflow)}")
    return commands.OK
