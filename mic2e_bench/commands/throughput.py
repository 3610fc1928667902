"""``mic2e-bench throughput``."""

from __future__ import annotations

import argparse

from mic2e_bench import arguments as given
from mic2e_bench import commands

ABOUT = "measure images per minute and waiting times: batches, pools, long runs, other servers"


def arguments(parser: argparse.ArgumentParser) -> None:
    commands.add_studies(parser)
    parser.add_argument("--rerun", action="store_true", help="measure again what is measured already")
    parser.add_argument(
        "--address", default="", metavar="HOST:PORT", help="a Ray cluster for pools (default: one here)"
    )
    parser.add_argument(
        "--write-comfyui",
        type=given.path,
        default=None,
        metavar="FOLDER",
        help="only write the first study's weights into ComfyUI's folder, as its loaders read them",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would be measured")


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench.tools.throughput import measure, page, study

    results = commands.results(options)
    studies = [study.read(path, tuple(options.set)) for path in options.params]
    if options.dry_run:
        for one in studies:
            print(f"{one.study.name}: {one.kind.name} of {one.study.pipeline.name}, {len(one.points)} points")
            print("\n".join(f"  {point.label}" for point in one.points))
        return commands.OK
    if options.write_comfyui:
        from mic2e_bench.tools.throughput.peers import weights

        for path, digest in weights.write(studies[0].study.baseline, options.write_comfyui):
            print(f"{digest}  {path}")
        return commands.OK
    found = measure.studies(studies, results, options.rerun, options.address)
    for one, records in zip(studies, found, strict=True):
        print(f"{one.study.name} ({one.kind.name} of {one.study.pipeline.name})\n{one.kind.text(records)}")
        for point in records:
            if point.status != "ok":
                print(f"  {point.status}: {point.label}: {point.reason}")
        for point in records:
            if disturbed := point.environment.get("disturbed"):
                print(f"  disturbed: {point.label}: {'; '.join(disturbed)}")
        print(f"report: {page.write(one.study.name, records, results)}\n")
    return commands.NOT_OK if any(each.status != "ok" for records in found for each in records) else commands.OK
