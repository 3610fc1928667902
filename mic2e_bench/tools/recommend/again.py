"""The params file behind records, and the one command that measures again what other work disturbed."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

from mic2e_bench import paths
from mic2e_bench.errors import BadInput
from mic2e_bench.plan import params
from mic2e_bench.plan.params import Study
from mic2e_bench.records.record import Record


def command(disturbed: Sequence[Record], given: Sequence[str], results: Path) -> str:
    """``mic2e-bench run FILES --rerun-disturbed``, with the params files that plan these trials. Where there is none,
    the command has FILE in its place and says of which study.
    """
    ids = {one.study: {each.id for each in disturbed if each.study == one.study} for one in disturbed}
    files = {study: plan_of(study, ids[study], given)[0] for study in ids}
    names = [shlex.quote(_short(file)) if file else "FILE" for file in files.values()]
    words = ["mic2e-bench run", *dict.fromkeys(names), "--rerun-disturbed"]
    if os.path.realpath(results) != os.path.realpath(paths.results()):
        words.append(f"--results {shlex.quote(str(results))}")
    lacking = [study for study, file in files.items() if not file]
    where = f" (FILE: the params file of {' and '.join(lacking)})" if lacking else ""
    return f"{' '.join(words)}{where}"


def plan_of(study: str, ids: Collection[str], given: Sequence[str]) -> tuple[str, Study | None]:
    """The params file that has a study of this name with one of these trials, and the study; ``""`` and ``None`` where
    there is none. It is looked for among those ``given`` and the workbench's own.
    """
    files = [name for name in given if name.endswith((".yaml", ".yml"))]
    for file in [*files, *map(str, sorted((paths.root() / "params").rglob("*.yaml")))]:
        with contextlib.suppress(BadInput, OSError):  # presets, claims, a space to search
            text = Path(file).read_text(encoding="utf-8", errors="replace")
            if study in text or "study:" not in text:  # else there is no need to resolve it
                for one in params.read_all(file):
                    if one.name == study and not {trial.id for trial in one.trials}.isdisjoint(ids):
                        return file, one
    return "", None


def _short(path: str) -> str:
    """Relative to where the command is typed, where it lies below."""
    return os.path.relpath(path) if os.path.realpath(path).startswith(os.path.realpath(os.curdir) + os.sep) else path
