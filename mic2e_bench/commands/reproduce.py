"""``mic2e-bench reproduce``."""

from __future__ import annotations

import argparse

from mic2e_bench import arguments as given
from mic2e_bench import commands

ABOUT = "measure a stored record once more and say whether it agrees"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "The settings, inputs, protocol and weights are the record's. Exit codes: 0 agrees, 1 does not agree, 2 bad "
        "input, or this machine cannot measure it, 3 cannot be told (as a time is that did not take turns in six "
        "builds with a baseline)."
    )
    parser.add_argument("record", metavar="RECORD", help="a record's file, or STUDY/ID of one in the results folder")
    commands.add_results(parser)
    parser.add_argument(
        "--into", type=given.path, metavar="DIR",
        help="results folder of the new record (default: reproduced/STUDY-ID/1 in the results folder, then 2, ...)",
    )  # fmt: skip
    parser.add_argument(
        "--lpips-weights", type=given.path, metavar="FILE", help="ImageNet weights of torchvision for LPIPS"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench.tools.reproduce import agree, reproduce

    asked = reproduce.prepare(options.record, commands.results(options), options.into)
    if not options.json:
        print(reproduce.before(asked), flush=True)
    made = reproduce.measure(asked, options.lpips_weights)
    print(reproduce.written(made) if options.json else reproduce.text(made))
    codes = {agree.AGREES: commands.OK, agree.DIFFERS: commands.NOT_OK, agree.OPEN: commands.INCONCLUSIVE}
    return codes[made.word]
