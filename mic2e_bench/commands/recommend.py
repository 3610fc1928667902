"""``mic2e-bench recommend``."""

from __future__ import annotations

import argparse
import json

from mic2e_bench import commands

ABOUT = "the best measured setting under limits, its runners-up, and what each limit costs"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("studies", nargs="+", metavar="STUDY", help="studies under the results folder, or params files")
    commands.add_results(parser)
    parser.add_argument("--max-latency", metavar="TIME", help="of one call, e.g. 4s or 250ms")
    parser.add_argument("--max-vram", metavar="SIZE", help="peak reserved GPU memory, e.g. 10GB or 10GiB")
    parser.add_argument("--max-memory", metavar="SIZE", help="peak memory: of the GPU, on a CPU the process's peak RSS")
    parser.add_argument("--min-quality", metavar="SHARE", help="against the baseline's images, e.g. 85%%")
    parser.add_argument("--metric", metavar="NAME", help="column of quality (default: quality, else iou, else ssim)")
    parser.add_argument(
        "--prefer", metavar="QUANTITY",
        help="latency, vram, memory or quality: what counts first (default: with --min-quality latency, else latency "
        "among what cannot be told from the baseline)",
    )  # fmt: skip
    parser.add_argument("--with-disturbed", action="store_true", help="take records that other work disturbed as well")
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench.tools.recommend import text as recommend_text
    from mic2e_bench.tools.recommend.request import ask

    given = ("max_latency", "max_vram", "max_memory", "min_quality", "prefer", "metric", "with_disturbed")
    found = ask(options.studies, commands.results_there(options), **{name: getattr(options, name) for name in given})
    print(json.dumps(recommend_text.as_json(*found), indent=1) if options.json else recommend_text.text(*found))
    return commands.OK if found[0].best else commands.NOT_OK
