"""The commands. They read arguments, call, print and choose the exit code; nothing else."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from mic2e_bench import __version__, places, show
from mic2e_bench.errors import BadInput

OK, NOT_OK, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code.

    0 done, 1 with ``--strict`` and a trial that is not ok or with ``--check`` and a stale table, 2 bad input,
    130 interrupted.
    """
    options = parser().parse_args(arguments)
    try:
        return options.command(options)
    except BadInput as error:
        print(f"mic2e-bench: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("\nmic2e-bench: interrupted. The same command goes on where it stopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe (head, less) has seen enough
        sys.stderr.close()
        return OK


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="mic2e-bench", description="Benchmark and tune the MIC2E diffusion pipelines.")
    top.add_argument("--version", action="version", version=f"mic2e-bench {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: object, about: str, study: bool = False) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=about, description=about)
        made.set_defaults(command=function)
        if study:
            made.add_argument("params", nargs="+", metavar="PARAMS", help="params files (YAML)")
            made.add_argument(
                "--set", action="append", default=[], metavar="KEY=VALUE", help="change a key, e.g. protocol.repeats=3"
            )
            made.add_argument(
                "--results", type=Path, default=None, metavar="DIR", help="results folder (default: results/)"
            )
        return made

    command("plan", plan, "show the trials of a study and what is already measured", study=True)
    for name, function, about in (
        ("run", run, "measure what is not measured yet"),
        ("report", report, "measure what is missing, then write notebooks, tables and the page"),
    ):
        made = command(name, function, about, study=True)
        made.add_argument("--rerun", action="store_true", help="measure again what is measured already")
        made.add_argument("--force", action="store_true", help="build trials with a known conflict as well")
        made.add_argument(
            "--lpips-weights", type=Path, metavar="FILE", help="ImageNet weights of torchvision for LPIPS"
        )
        made.add_argument("--strict", action="store_true", help="exit with 1 when a trial is not ok")
        made.add_argument("--dry-run", action="store_true", help="only show what would be done")
        made.add_argument("--mixed", action="store_true", help="allow records of different environments in one table")
    demo_parser = command("demo", demo, "the demonstration studies on the bundled models, with the report")
    demo_parser.add_argument(
        "--results", type=Path, default=None, metavar="DIR", help="results folder (default: results/)"
    )
    tables_parser = command("tables", tables, "the guides' tables with what stored records measured beside each claim")
    tables_parser.add_argument(
        "--results", type=Path, default=None, metavar="DIR", help="results folder (default: results/)"
    )
    tables_parser.add_argument("--check", action="store_true", help="exit with 1 where the published tables are stale")
    tables_parser.add_argument("--mixed", action="store_true", help="allow figures of different environments")
    doctor_parser = command("doctor", doctor, "what this machine can do")
    doctor_parser.add_argument("--json", action="store_true", help="print JSON")
    list_parser = command("list", list_, "list pipelines, toggles, metrics or presets")
    list_parser.add_argument("what", choices=("pipelines", "toggles", "metrics", "presets"))
    return top


def _studies(options: argparse.Namespace) -> list:
    from mic2e_bench import params

    return [params.read(path, tuple(options.set)) for path in options.params]


def _results(options: argparse.Namespace) -> Path:
    return options.results or places.results()


def plan(options: argparse.Namespace) -> int:
    print(show.plan(_studies(options), _results(options)))
    return OK


def run(options: argparse.Namespace) -> int:
    from mic2e_bench import api

    studies = _studies(options)
    if options.dry_run:
        print(show.plan(studies, _results(options)))
        return OK
    summary = api.run(
        *studies,
        results=_results(options),
        rerun=options.rerun,
        force=options.force,
        lpips_weights=options.lpips_weights,
    )
    print(show.results(studies, _results(options), options.mixed))
    print(show.summary(summary))
    return NOT_OK if options.strict and summary.failed else OK


def report(options: argparse.Namespace) -> int:
    code = run(options)
    if not options.dry_run:
        from mic2e_bench.report import page

        print(f"report: {page.write(_studies(options), _results(options), options.mixed)}")
    return code


def demo(options: argparse.Namespace) -> int:
    folder = places.root() / "params" / "demo"
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise BadInput(f"no params files in {folder}: run the demo from the workbench's folder.")
    where = ["--results", str(options.results)] if options.results else []
    code = main(["report", *map(str, paths), *where]) or main(["tables", *where])
    print(f"Open {_results(options) / 'report.html'}")
    return code


def tables(options: argparse.Namespace) -> int:
    from mic2e_bench.claims import publish

    if options.check:
        problems = publish.check(_results(options), options.mixed)
        print("\n".join(problems) or "the published tables are what the stored records give")
        return NOT_OK if problems else OK
    for path in publish.write(_results(options), options.mixed):
        print(f"tables: {path}")
    return OK


def doctor(options: argparse.Namespace) -> int:
    from mic2e_bench import doctor as examination

    found = examination.examine()
    print(json.dumps(found, indent=1) if options.json else examination.text(found))
    return OK


def list_(options: argparse.Namespace) -> int:
    print(getattr(show, options.what)())
    return OK
