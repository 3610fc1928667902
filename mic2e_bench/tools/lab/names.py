"""A name for a study of one's own: it joins no other study's folder."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mic2e_bench import files, paths
from mic2e_bench.errors import BadInput
from mic2e_bench.plan.params import Study, resolve_study
from mic2e_bench.records import record

PREFIX = "my-"


def own(params: Mapping[str, Any], results: Path) -> str:
    """``my-`` and the name that the study would have by itself; with a number where that is another study's.

    It is not another's where it has no records yet, or this study's baseline: then this is the same, continued. Raises
    ``BadInput`` for params that are no study.
    """
    study = resolve_study({**params, "study": None}, "parameters")
    base = study.name if study.name.startswith(PREFIX) else f"{PREFIX}{study.name}"
    names = itertools.chain([base], (f"{base}-{number}" for number in itertools.count(2)))
    return next(name for name in names if name not in _of_files() and _is_mine(name, study, results))


def _is_mine(name: str, study: Study, results: Path) -> bool:
    folder = paths.of_study(results, name)
    return not record.paths(folder) or record.path_of(results, name, study.baseline.id).exists()


@functools.cache
def _of_files() -> frozenset[str]:
    """The names that params files give their studies."""
    found = set()
    for path in (paths.root() / "params").glob("**/*.yaml"):
        try:
            documents = files.read_documents(path)
        except BadInput:  # a page or a run will say what is wrong with it
            continue
        found |= {str(one["study"]) for one in documents if isinstance(one, dict) and "study" in one}
    return frozenset(found)
