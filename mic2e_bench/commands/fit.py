"""``mic2e-bench fit``."""

from __future__ import annotations

import argparse
import json

from mic2e_bench import commands

ABOUT = "estimate the GPU memory of a setting, before anything is downloaded, and which card it fits"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipeline", metavar="PIPELINE", help="mic2e-bench list pipelines")
    parser.add_argument("--settings", nargs="+", default=[], metavar="KEY=VALUE", help="e.g. precision=bf16 batch=2")
    parser.add_argument("--preset", metavar="NAME", help="settings of a preset, which --settings change")
    parser.add_argument(
        "--model", default="published", metavar="MODEL", help="published (default), bundled, or a folder with configs"
    )
    parser.add_argument("--image", metavar="WxH", help="size of the input image (default: as large as the resolution)")
    card = parser.add_mutually_exclusive_group()
    card.add_argument("--gpu", metavar="CARD", help='one card, e.g. "RTX 3080" (default: all that are known)')
    card.add_argument("--vram", metavar="SIZE", help="a card with so much memory, e.g. 10GiB")
    parser.add_argument("--json", action="store_true", help="print JSON")
    commands.add_results(parser)


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench.tools.fit.fit import answer, cards_of

    found = answer(
        options.pipeline, options.settings, options.preset, options.model, options.image,
        cards=cards_of(options.gpu, options.vram), results=commands.results(options),
    )  # fmt: skip
    print(json.dumps(found.json(), indent=1) if options.json else found.text())
    return commands.OK if found.fits_somewhere else commands.NOT_OK
