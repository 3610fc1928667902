"""python -m mic2e_bench.workshop.train.evaluate NAME: a bundled model's figures, evaluation.json and card."""

import importlib
import os
import sys
from pathlib import Path

from mic2e_bench import paths
from mic2e_bench.arguments import count
from mic2e_bench.workshop.command import chosen, one_line, parser
from mic2e_bench.workshop.train.card import KINDS, read, write_card


@one_line
def main(arguments: list[str] | None = None) -> int:
    asked = parser(__doc__)
    asked.add_argument("name", help=f"one of {', '.join(KINDS)}, or all")
    asked.add_argument("--models", type=Path, help="the folder of the models (default: the package's bundled/)")
    asked.add_argument("--sheets", type=Path, help="a folder for contact sheets to look at (default: none)")
    asked.add_argument("--most", type=count, help="at most so many scenes or captions (default: all)")
    asked.add_argument("--card-only", action="store_true", help="write the card from stored figures")
    options = asked.parse_args(arguments)
    names = chosen(options.name, KINDS)
    os.environ["HF_HUB_OFFLINE"] = "1"  # bundled models are on disk: nothing may be asked of the hub
    for name in names:
        folder = (options.models or paths.BUNDLED) / name
        if not options.card_only:
            measure(name, folder, options)
        print(write_card(name, folder))
    return 0


def measure(name: str, folder: Path, options) -> None:
    """Evaluate one model and write its figures."""
    import torch

    from mic2e_bench.workshop.train.loop import write_json

    torch.set_num_threads(1)
    module = importlib.import_module(f"mic2e_bench.workshop.train.evaluate_{KINDS[name]}")
    figures = module.evaluate(name, folder, say=lambda line: print(line, flush=True), most=options.most)
    sheet = figures.pop("sheet")
    if options.sheets:
        options.sheets.mkdir(parents=True, exist_ok=True)
        sheet.save(options.sheets / f"{name}.png")
    figures["steps_trained"] = read(folder / "training.json").get("steps", 0)
    write_json(folder / "evaluation.json", figures)


if __name__ == "__main__":
    sys.exit(main())
