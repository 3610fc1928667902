"""``mic2e-bench demo``."""

from __future__ import annotations

import argparse

from mic2e_bench import commands, paths
from mic2e_bench.commands import report, tables
from mic2e_bench.errors import BadInput

ABOUT = "the demonstration studies on the bundled models, with the report"
arguments = commands.add_results


def execute(options: argparse.Namespace) -> int:
    folder = paths.root() / "params" / "demo"
    studies = sorted(folder.glob("*.yaml"))
    if not studies:
        raise BadInput(f"no params files in {folder}: run the demo from the workbench's folder.")
    where = ["--results", str(options.results)] if options.results else []
    code = commands.call(report, [*map(str, studies), *where]) or commands.call(tables, where)
    print(f"Open {commands.results(options) / 'report.html'}")
    return code
