"""python -m mic2e_bench.workshop.train NAME: train one bundled model (or `all`), resuming where it stopped."""

import os
import sys

from mic2e_bench.arguments import count
from mic2e_bench.workshop.command import chosen, one_line, parser, training_arguments

MINUTES = {"vae": 15, "objectclear": 60, "sdxl-inpaint": 24, "flux-schnell": 56, "z-image-turbo": 40, "sam3": 45}


@one_line
def main(arguments: list[str] | None = None) -> int:
    read = parser(__doc__)
    read.add_argument("name", help=f"one of {', '.join(MINUTES)}, or all")
    read.add_argument("--minutes", type=float, help="budget of processor time, over all resumptions")
    read.add_argument("--steps", type=count, help="budget in steps instead of minutes")
    read.add_argument("--seed", type=int, default=0)
    training_arguments(read)
    read.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    options = read.parse_args(arguments)
    names = chosen(options.name, MINUTES)
    os.environ["HF_HUB_OFFLINE"] = "1"  # everything is made here: nothing may be asked of the hub
    from mic2e_bench.workshop.train import tasks

    try:
        for name in names:
            tasks.train_one(name, options, MINUTES[name])
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint, at most a minute back", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
