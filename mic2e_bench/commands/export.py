"""``mic2e-bench export``."""

from __future__ import annotations

import argparse

from mic2e_bench import commands

ABOUT = "settings as ready code: a Python file, YAML, JSON, or the inference service's fields"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", metavar="WHAT", help="a preset's name, a file of one, or STUDY/TRIAL_ID of a measured record"
    )
    parser.add_argument(
        "--as", dest="form", choices=("python", "yaml", "json", "mic2e"), default="python", help="default: python"
    )
    parser.add_argument("--pipeline", metavar="NAME", help="the pipeline, where the preset speaks of several")
    parser.add_argument("--input", metavar="NAME", help="the record's input that the Python file works on")
    commands.add_results(parser)


def execute(options: argparse.Namespace) -> int:
    from mic2e_bench.tools.export import entries, find, python

    found = find.find(options.what, options.pipeline, commands.results(options))
    if options.form == "python":
        print(python.snippet(found, options.input), end="")
    else:
        write = {"yaml": entries.as_yaml, "json": entries.as_json, "mic2e": entries.as_mic2e}[options.form]
        print(write(found))
    return commands.OK
