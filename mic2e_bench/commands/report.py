"""``mic2e-bench report``. With ``--budget`` the page has what is there at its end; writing it comes on top."""

from __future__ import annotations

import argparse

from mic2e_bench import commands
from mic2e_bench.commands import run

ABOUT = "measure what is missing, then write notebooks, tables and the page"
arguments = run.arguments


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench.report import papermill_run as notebooks

    if not options.dry_run:
        notebooks.check()
    code = run.execute(options)
    if not options.dry_run:
        from mic2e_bench.tools.report import page

        path = page.write(commands.studies(options), commands.results(options), options.mixed)
        print(f"report: {path}")
    return code
