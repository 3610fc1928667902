"""``python -m mic2e_bench.workshop.perceptual rank|train``: judge the stand-in for LPIPS' weights, or train it anew."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 done, 1 where training found something to act on, 2 for bad arguments."""
    parser = argparse.ArgumentParser(prog="python -m mic2e_bench.workshop.perceptual", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    ranking = commands.add_parser("rank", help="how well distances rank graded distortions of real photographs")
    ranking.add_argument("--write", action="store_true", help="store the figures beside the weights")
    training = commands.add_parser("train", help="train the network on drawn scenes, resuming where it stopped")
    training.add_argument("--steps", type=int, help="default: 3000, about six minutes of one core")
    training.add_argument("--out", type=Path, default=Path(".train"), help="where checkpoints live (default .train)")
    training.add_argument("--install", type=Path, help="where the weights go (default: the package's bundled/)")
    training.add_argument("--resume", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args(arguments)
    return rank(options) if options.command == "rank" else train(options)


def rank(options: argparse.Namespace) -> int:
    """Print (and store) the figures of every candidate."""
    import torch

    from mic2e_bench.catalog.metrics.backbones.standin import FOLDER
    from mic2e_bench.workshop.perceptual import candidates, rank

    torch.set_num_threads(1)
    figures = {}
    for name, distance in candidates.distances().items():
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
    from mic2e_bench.workshop.train import loop

    torch.set_num_threads(1)  # two threads on busy cores are slower than one
    run = loop.Run(train.Task(), options.out / train.Task.name, 0, torch.device("cpu"))
    try:
        if options.resume and run.load():
            print(f"resumed at step {run.step}")
        loop.train(run, options.install or FOLDER.parent, minutes=None, steps=options.steps or train.STEPS)
    except loop.TrainingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
