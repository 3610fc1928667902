"""``mic2e-bench compare``."""

from __future__ import annotations

import argparse
import os
import sys

from mic2e_bench import arguments as given
from mic2e_bench import commands

ABOUT = "what got better or worse from one set of records to another; exits with 1 where something got worse"


RULE = (
    "worse: all of a change's 95 % interval is a loss beyond the threshold; better: all of it is a gain beyond it; "
    "same: all of it lies within; inconclusive: neither, or fewer than six rounds. Measure both sides in turns, six "
    "rounds or more, each into a folder of its own under BASE and HEAD: then a drift of the machine is no change. Look "
    "as often as you like: the interval is that of whoever looks again after each round. --power says beforehand, from "
    "three rounds of BASE, what so many rounds find. Exit codes: 0, 1 worse, 2 bad input, 3 inconclusive (on request)."
)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = RULE
    parser.add_argument(
        "base", type=given.path, metavar="BASE", help="results folder, study's folder, or a folder of rounds"
    )
    parser.add_argument("head", type=given.path, metavar="HEAD", nargs="?", help="the same, of what is to be checked")
    parser.add_argument(
        "--fail-on", action="append", default=[], metavar="CHANGE",
        help="a loss that fails the check, e.g. latency>5%% or quality<-1%% (default: these two, and the like)",
    )  # fmt: skip
    parser.add_argument("--across-machines", action="store_true", help="compare ratios to each side's own baseline")
    parser.add_argument(
        "--strict-inconclusive", action="store_true", help="exit with 3 where a checked metric is inconclusive"
    )
    parser.add_argument(
        "--power", action="store_true", help="no comparison: what so many rounds find, at the noise of BASE's"
    )
    forms = {"markdown": "for a pull request", "json": "for programs", "junit": "JUnit XML for CI", "html": "a page"}
    for name, what in forms.items():
        parser.add_argument(f"--{name}", type=given.path, metavar="FILE", help=f"write {what}")


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench import files
    from mic2e_bench.errors import BadInput
    from mic2e_bench.tools.compare import compare, junit
    from mic2e_bench.tools.compare import text as compare_text

    if options.power:
        return _power(options)
    if options.head is None:
        raise BadInput("compare: HEAD is missing: the folder to compare BASE with (or --power: what rounds find).")
    asked = [path for path in (options.markdown, options.json, options.html, options.junit) if path]
    to = [os.path.realpath(path) for path in asked if os.path.isfile(path) or not os.path.exists(path)]
    if len(to) > len(set(to)):
        raise BadInput(f"--markdown, --json, --html, --junit: each needs a file of its own; given: {', '.join(to)}.")
    made = compare.compare(options.base, options.head, options.fail_on, options.across_machines)
    outputs = [
        (options.markdown, lambda: compare_text.markdown(made).encode()),
        (options.json, lambda: compare_text.as_json(made).encode()),
        (options.html, lambda: compare_text.html(made).encode()),
        (options.junit, lambda: junit.xml(made)),
    ]
    for path, content in outputs:
        if path:
            files.write_whole(path, content())
    print(compare_text.text(made))
    if said := compare_text.unanswered(made):
        print(said, file=sys.stderr)
    if made.failures:
        return commands.NOT_OK
    is_open = made.open_questions or made.lost
    return commands.INCONCLUSIVE if options.strict_inconclusive and is_open else commands.OK


def _power(options: argparse.Namespace) -> int:
    from mic2e_bench.errors import BadInput
    from mic2e_bench.tools.compare import power

    others = ("head", "markdown", "json", "junit", "html", "across_machines", "strict_inconclusive")
    if given_too := [name for name in others if getattr(options, name)]:
        raise BadInput(f"--power: it takes BASE and --fail-on alone; given too: {', '.join(given_too)}.")
    found = power.of_base(options.base, options.fail_on)
    print("\n".join([power.table(found).text(), "", *power.worst(found)]))
    return commands.OK
