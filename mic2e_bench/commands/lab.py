"""``mic2e-bench lab``."""

from __future__ import annotations

import argparse

from mic2e_bench import commands, units

ABOUT = "open JupyterLab on the notebooks, the start page first"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", metavar="N", help="the port to serve on (default: the first that is free from 8888 on)"
    )
    parser.add_argument("--no-browser", action="store_true", help="open no browser: the address is printed")


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench.tools.lab import server

    port = None if options.port is None else units.count(options.port, "--port")
    code = server.run(port, not options.no_browser, lambda line: print(line, flush=True))
    return commands.OK if code == 0 else commands.NOT_OK
