"""python -m mic2e_bench.workshop.train.evaluate NAME: a bundled model's figures, evaluation.json and card."""

import argparse
import difflib
import importlib
import json
import os
import sys
from pathlib import Path

from mic2e_bench import paths

NAMES = {
    "objectclear": "evaluate_edit",
    "sdxl-inpaint": "evaluate_edit",
    "flux-schnell": "evaluate_generation",
    "z-image-turbo": "evaluate_generation",
    "sam3": "evaluate_sam3",
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mic2e_bench.workshop.train.evaluate", description=__doc__)
    parser.add_argument("name", help=f"one of {', '.join(NAMES)}, or all")
    parser.add_argument("--models", type=Path, help="the folder of the models (default: the package's bundled/)")
    parser.add_argument("--sheets", type=Path, help="a folder for contact sheets to look at (default: none)")
    parser.add_argument("--most", type=int, help="at most so many scenes or captions (default: all)")
    parser.add_argument("--card-only", action="store_true", help="write the card from stored figures")
    options = parser.parse_args(arguments)
    if options.name not in (*NAMES, "all"):
        near = difflib.get_close_matches(options.name, (*NAMES, "all"), 1, 0.3) or ["objectclear"]
        print(
            f"no bundled model is called '{options.name}'; did you mean '{near[0]}'? There are: "
            f"{', '.join(NAMES)}, all",
            file=sys.stderr,
        )
        return 2
    os.environ["HF_HUB_OFFLINE"] = "1"  # bundled models are on disk: nothing may be asked of the hub
    for name in NAMES if options.name == "all" else (options.name,):
        measure(name, options)
    return 0


def measure(name: str, options) -> None:
    """Evaluate one model and write its figures and its card."""
    from mic2e_bench.workshop.train.card import write_card
    from mic2e_bench.workshop.train.loop import write_atomically

    folder = (options.models or paths.BUNDLED) / name
    if not options.card_only:
        import torch

        torch.set_num_threads(1)
        module = importlib.import_module(f"mic2e_bench.workshop.train.{NAMES[name]}")
        figures = module.evaluate(name, folder, say=lambda line: print(line, flush=True), most=options.most)
        sheet = figures.pop("sheet")
        if options.sheets:
            options.sheets.mkdir(parents=True, exist_ok=True)
            sheet.save(options.sheets / f"{name}.png")
        training = folder / "training.json"
        figures["steps_trained"] = json.loads(training.read_text())["steps"] if training.exists() else 0
        text = json.dumps(figures, indent=1) + "\n"
        write_atomically(folder / "evaluation.json", lambda p: p.write_text(text))
    print(write_card(name, folder))


if __name__ == "__main__":
    sys.exit(main())
