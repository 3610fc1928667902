"""``python -m mic2e_bench.workshop.perceptual rank|agree|train``: judge LPIPS' stand-in, or train it."""

from __future__ import annotations

import argparse
import json
import sys

from mic2e_bench import arguments as given
from mic2e_bench.arguments import count
from mic2e_bench.workshop.command import one_line, parser, training_arguments


@one_line
def main(arguments: list[str] | None = None) -> int:
    """Run one command."""
    read = parser(__doc__)
    commands = read.add_subparsers(required=True, metavar="COMMAND", dest="command")
    ranking = commands.add_parser("rank", help="how well distances rank graded distortions of real photographs")
    ranking.add_argument("--write", action="store_true", help="store the figures beside the weights")
    agreeing = commands.add_parser("agree", help="how well it agrees with FLIP, SSIM and PSNR over stored pictures")
    agreeing.add_argument("results", type=given.path, help="a results folder, such as a demo's")
    training = commands.add_parser("train", help="train the network on drawn scenes, resuming where it stopped")
    training.add_argument("--steps", type=count, help="default: 3000, about six minutes of one core")
    training_arguments(training)
    training.set_defaults(seed=0)
    options = read.parse_args(arguments)
    return {"rank": rank, "agree": agree, "train": train}[options.command](options)


def agree(options: argparse.Namespace) -> int:
    """Print the correlations with what is measured without weights, for the card."""
    from mic2e_bench.workshop.perceptual import agree

    found, counts = agree.table(options.results)
    pictures = ", ".join(f"{count} of {pipeline}" for pipeline, count in counts.items())
    print(f"{sum(counts.values())} pictures ({pictures})")
    for name, value in found.items():
        print(f"| {name} | {value:.3f} |")
    return 0


def rank(options: argparse.Namespace) -> int:
    """Print (and store) the figures of every candidate."""
    import torch

    from mic2e_bench.catalog.metrics.backbones.standin import FOLDER
    from mic2e_bench.workshop.perceptual import candidates, rank

    torch.set_num_threads(1)
    figures = {}
    for name, distance in candidates.distances():
        figures[name] = rank.spearman(rank.table(distance))
        if len(figures) == 1:
            print(rank.header())
        print(rank.line(name, figures[name]), flush=True)
    if options.write:
        (FOLDER / "ranking.json").write_text(json.dumps(rank.report(figures), indent=1) + "\n")
    return 0


def train(options: argparse.Namespace) -> int:
    """Train with checkpoints; the finished weights are installed."""
    import torch

    from mic2e_bench.catalog.metrics.backbones.standin import FOLDER
    from mic2e_bench.workshop.perceptual import train
    from mic2e_bench.workshop.train.tasks import carry_out

    torch.set_num_threads(1)  # two threads on busy cores are slower than one
    carry_out(train.Task(), options.install or FOLDER.parent, options, steps=options.steps or train.STEPS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
