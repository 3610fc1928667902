"""``mic2e-bench verify``."""

from __future__ import annotations

import argparse
import sys

from mic2e_bench import commands

ABOUT = "check every stored record, image, table and page: are they what was written?"


def arguments(parser: argparse.ArgumentParser) -> None:
    commands.add_results(parser)
    parser.add_argument("--quiet", action="store_true", help="print problems only, not what no record knows of")


def execute(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from mic2e_bench.tools import verify

    results = commands.results_there(options)
    # None: no bar where there is no terminal
    with tqdm(desc="verifying", unit="file", leave=False, disable=None, file=sys.stderr) as bar:
        found = verify.everything(results, bar.update)
    for line in found.problems:
        print(f"problem: {line}")
    for line in () if options.quiet else found.remarks:
        print(f"remark: {line}")
    left_out = f", {found.not_kept} of random weights not kept" if found.not_kept else ""
    left_out += f", {found.unsealed} records without a hash of their content" if found.unsealed else ""
    print(f"{found.records} records and {found.images} images{left_out}: {len(found.problems) or 'no'} problems")
    return commands.NOT_OK if found.problems else commands.OK
