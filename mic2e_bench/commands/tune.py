"""``mic2e-bench tune``."""

from __future__ import annotations

import argparse

from mic2e_bench import arguments as given
from mic2e_bench import commands

ABOUT = "find the front of latency, memory and quality in a space too large to sweep"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("params", metavar="PARAMS", help="a params file with a space: (or a vary:, as its grid)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a key, e.g. protocol.repeats=3"
    )
    commands.add_results(parser)
    parser.add_argument("--budget", default="40", help="a number of trials, or a time such as 30m (default: 40)")
    parser.add_argument("--max-latency", metavar="TIME", help="of one call, e.g. 4s or 250ms")
    parser.add_argument(
        "--max-memory", "--max-vram", metavar="SIZE", help="peak of the GPU, on a CPU the process's RSS"
    )
    parser.add_argument("--min-quality", metavar="SHARE", help="against the baseline's images, e.g. 85%%")
    parser.add_argument(
        "--patience",
        metavar="TRIALS",
        help="end after so many without a movement of the front",
    )
    parser.add_argument("--finalists", default="8", metavar="N", help="measured again at the end (default: 8)")
    parser.add_argument("--no-race", action="store_true", help="the full protocol for every trial, and no cheap looks")
    parser.add_argument(
        "--sampler", default="nsga2", metavar="NAME",
        help="of Optuna, for the first looks (with --no-race for all): nsga2, tpe, gp or random (default: nsga2)",
    )  # fmt: skip
    parser.add_argument(
        "--lpips-weights", type=given.path, metavar="FILE", help="ImageNet weights of torchvision for LPIPS"
    )
    parser.add_argument("--dry-run", action="store_true", help="only show the space")


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench import units
    from mic2e_bench.tools.tune import budget, space_file, tune

    asked = _limits(options)
    spend = budget.parse(options.budget)
    patience = None if options.patience is None else units.count(options.patience, "--patience")
    finalists = units.count(options.finalists, "--finalists")
    study, space = space_file.read(options.params, tuple(options.set))
    if options.dry_run:
        print(tune.plan(study, space))
        return commands.OK
    text, fits = tune.tune(
        study, space, commands.results(options), spend, asked,
        patience=patience or tune.PATIENCE, finalists=finalists, races=not options.no_race, sampler=options.sampler,
        lpips_weights=options.lpips_weights,
    )  # fmt: skip
    print(text)
    return commands.OK if fits else commands.NOT_OK


def _limits(options: argparse.Namespace) -> dict[str, float]:
    from mic2e_bench import units

    readers = {"latency": units.seconds, "memory": units.size, "quality": units.percent}
    given = {"latency": "max_latency", "memory": "max_memory", "quality": "min_quality"}
    texts = {name: (getattr(options, key), f"--{key.replace('_', '-')}") for name, key in given.items()}
    return {name: readers[name](text, where) for name, (text, where) in texts.items() if text is not None}
