"""python -m mic2e_bench.workshop.train NAME: train one bundled model (or `all`), resuming where it stopped."""

import argparse
import difflib
import os
import sys
from pathlib import Path

ORDER = ("vae", "objectclear", "sdxl-inpaint", "flux-schnell", "z-image-turbo", "sam3")
MINUTES = {"vae": 15, "objectclear": 60, "sdxl-inpaint": 24, "flux-schnell": 56, "z-image-turbo": 40, "sam3": 45}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mic2e_bench.workshop.train", description=__doc__)
    parser.add_argument("name", help=f"one of {', '.join(ORDER)}, or all")
    parser.add_argument("--minutes", type=float, help="budget of processor time, over all resumptions")
    parser.add_argument("--steps", type=int, help="budget in steps instead of minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(".train"), help="where checkpoints live (default .train)")
    parser.add_argument("--install", type=Path, help="where the finished model goes (default: the package's bundled/)")
    parser.add_argument("--resume", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if options.name not in (*ORDER, "all"):
        near = difflib.get_close_matches(options.name, (*ORDER, "all"), 1, 0.3) or ["objectclear"]
        print(
            f"no model is called '{options.name}'; did you mean '{near[0]}'? There are: {', '.join(ORDER)}, all",
            file=sys.stderr,
        )
        return 2
    os.environ["HF_HUB_OFFLINE"] = "1"  # everything is made here: nothing may be asked of the hub
    from mic2e_bench.workshop.train.loop import TrainingError
    from mic2e_bench.workshop.train.tasks import train_one

    try:
        for name in ORDER if options.name == "all" else (options.name,):
            train_one(name, options, MINUTES[name])
    except TrainingError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint, at most a minute back", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
