"""``mic2e-bench compare``."""

from __future__ import annotations

import argparse
import sys

from mic2e_bench import arguments as given
from mic2e_bench import commands

ABOUT = "what got better or worse from one set of records to another; exits with 1 where something is worse or missing"


RULE = (
    "worse: all of a change's 95 % interval is a loss beyond the threshold; better: all of it is a gain beyond it; "
    "same: all of it lies within; inconclusive: neither, or fewer than six rounds; missing: one side measured a trial, "
    "or the base a metric of it, and the other did not. Everything is listed worst first. Measure both sides in turns, "
    "six rounds or more, each into a folder of its own under BASE and HEAD: then a drift of the machine is no change. "
    "Look as often as you like: the interval is that of whoever looks again after each round. --power says beforehand, "
    "from three rounds of BASE, what so many rounds find. The JSON (schema 1) has summary, counts, exit (code and "
    "reason), verdicts (change, ci95, unit, threshold, word, fails), missing, pictures and power; the page shows the "
    "ratios with their intervals and the pictures that changed. Exit codes: 0; 1 something that is checked is worse, a "
    "trial no longer runs, or something was measured on one side only (unless --allow-missing); 2 bad input; 3 "
    "inconclusive (on request)."
)


FORMS = {
    "markdown": "for a pull request, the summary first",
    "json": "for programs (- prints it, and nothing else)",
    "junit": "JUnit XML for CI (Jenkins' schema)",
    "html": "a page with pictures of what changed",
}


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
        "--allow-missing", action="store_true", help="what only one side measured does not fail the check"
    )
    parser.add_argument(
        "--strict-inconclusive", action="store_true", help="exit with 3 where a checked metric is inconclusive"
    )
    parser.add_argument(
        "--power", action="store_true", help="no comparison: what so many rounds find, at the noise of BASE's"
    )
    for name, what in FORMS.items():
        parser.add_argument(f"--{name}", type=given.path, metavar="FILE", help=f"write {what}")


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench.errors import BadInput
    from mic2e_bench.tools.compare import as_json, compare, junit, outcome, outputs, page
    from mic2e_bench.tools.compare import text as compare_text

    if options.power:
        return _power(options)
    if options.head is None:
        raise BadInput("compare: HEAD is missing: the folder to compare BASE with (or --power: what rounds find).")
    targets = {f"--{name}": path for name in FORMS if (path := getattr(options, name))}
    outputs.check(targets)
    made = compare.compare(options.base, options.head, options.fail_on, options.across_machines, options.allow_missing)
    strict = options.strict_inconclusive
    contents = {
        "--markdown": lambda: compare_text.markdown(made, outputs.address(options.html, options.markdown)).encode(),
        "--json": lambda: as_json.of(made, strict).encode(),
        "--junit": lambda: junit.xml(made),
        "--html": lambda: page.html(made).encode(),
    }
    printed = [option for option, path in targets.items() if path == outputs.STDOUT]
    for option, path in targets.items():
        if option not in printed:
            outputs.write(option, path, contents[option]())
    print(contents[printed[0]]().decode() if printed else compare_text.text(made), end="" if printed else "\n")
    for said in filter(None, (compare_text.unanswered(made), compare_text.absent(made))):
        print(said, file=sys.stderr)
    return outcome.of(made, strict).code


def _power(options: argparse.Namespace) -> int:
    from mic2e_bench.errors import BadInput
    from mic2e_bench.tools.compare import power

    others = ("head", "markdown", "json", "junit", "html", "across_machines", "allow_missing", "strict_inconclusive")
    if given_too := [name for name in others if getattr(options, name)]:
        raise BadInput(f"--power: it takes BASE and --fail-on alone; given too: {', '.join(given_too)}.")
    found = power.of_base(options.base, options.fail_on)
    print("\n".join([power.table(found).text(), "", *power.worst(found)]))
    return commands.OK
