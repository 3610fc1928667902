"""``mic2e-bench doctor``."""

from __future__ import annotations

import argparse
import json

from mic2e_bench import commands

ABOUT = "what this machine can do"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench.tools.doctor import doctor as examination

    found = examination.examine()
    print(json.dumps(found, indent=1) if options.json else examination.text(found))
    return commands.OK
