"""What the commands of the workshop share: their arguments, names of models, one clear line for bad input."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from mic2e_bench.arguments import Parser, path
from mic2e_bench.errors import BadInput, unknown


def parser(about: str) -> argparse.ArgumentParser:
    """For the arguments of the module that runs; ``about``: its docstring."""
    runs = getattr(sys.modules["__main__"].__spec__, "name", "mic2e_bench.workshop")
    return Parser(prog=f"python -m {runs.removesuffix('.__main__')}", description=about)


def one_line(main: Callable[..., int]) -> Callable[..., int]:
    """A command whose bad input is said on one line, with exit code 2."""

    @functools.wraps(main)
    def said(*given, **more) -> int:
        try:
            return main(*given, **more)
        except BadInput as error:
            print(error, file=sys.stderr)
            return 2

    return said


def training_arguments(read: argparse.ArgumentParser) -> None:
    """What every training takes."""
    read.add_argument("--out", type=path, default=Path(".train"), help="where checkpoints live (default .train)")
    read.add_argument("--install", type=path, help="where what is trained goes (default: the package's bundled/)")
    read.add_argument("--resume", action=argparse.BooleanOptionalAction, default=True)


def chosen(name: str, models: Iterable[str]) -> tuple[str, ...]:
    """The model of this name, or every one for ``all``. Raises ``BadInput`` for an unknown name."""
    models = tuple(models)
    if name not in (*models, "all"):
        raise unknown("model", name, (*models, "all"))
    return models if name == "all" else (name,)
