"""``mic2e-bench bisect``."""

from __future__ import annotations

import argparse

from mic2e_bench import arguments as given

ABOUT = "slower after an update: which package, or which commit, did it"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Both sides are measured in turns, as many rounds as compare needs for a verdict; where they differ, parts of "
        "the update are measured against GOOD until the smallest that differs is found. A killed one goes on by the "
        "same command. The environments are hard links from uv's cache where they can be, and are removed. Exit codes: "
        "0 no difference, 1 a culprit was found (or several, or some that differ only together), 2 bad input, 3 within "
        "the noise, or not narrowed down to one."
    )
    parser.add_argument("params", type=given.path, metavar="PARAMS", help="a params file of one study")
    parser.add_argument("--good", type=given.path, metavar="LOCK", help="the lock from before, with hashes")
    parser.add_argument("--bad", type=given.path, metavar="LOCK", help="the lock from after")
    parser.add_argument(
        "--commit", nargs=2, metavar=("GOOD", "BAD"), help="commits of this repository instead, along first parents"
    )
    parser.add_argument("--repo", type=given.path, metavar="PATH", help="of another git checkout: it is built by uv")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the study")
    parser.add_argument(
        "--fail-on", action="append", default=[], metavar="CHANGE",
        help="a change that matters (default: latency>5%%, memory>5%%, quality<-1%%, lpips.base>0.01)",
    )  # fmt: skip
    parser.add_argument("--most-rounds", type=given.count, default=20, metavar="N", help="of a comparison (20)")
    parser.add_argument("--results", type=given.path, metavar="DIR", help="results folder (default: results/)")
    parser.add_argument("--work", type=given.path, metavar="DIR", help="where environments lie (default: the cache)")
    parser.add_argument("--json", type=given.path, metavar="FILE", help="write the answer for programs (- prints it)")


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench.errors import BadInput
    from mic2e_bench.tools.bisect import bisect, outcome
    from mic2e_bench.tools.compare import outputs

    if bool(options.commit) == bool(options.good or options.bad) or bool(options.good) != bool(options.bad):
        raise BadInput("bisect: give two locks, --good LOCK --bad LOCK, or two commits, --commit GOOD BAD.")
    if options.repo and not options.commit:
        raise BadInput("bisect: --repo is the checkout of --commit GOOD BAD: give those as well.")
    if options.json:
        outputs.check({"--json": options.json})
    request = bisect.Request(
        options.params, tuple(options.set), options.results, options.work, tuple(options.fail_on), options.most_rounds
    )
    if options.commit:
        made = bisect.of_commits(request, *options.commit, options.repo)
    else:
        made = bisect.of_locks(request, options.good, options.bad)
    if options.json == outputs.STDOUT:
        print(outcome.as_json(made).decode(), end="")
        return made.exit
    print(outcome.text(made))
    if options.json:
        outputs.write("--json", options.json, outcome.as_json(made))
    return made.exit
